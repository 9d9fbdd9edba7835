/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The origin of a process: to whom it counts where something is bounded and shared (docs/decisions/0063). It is the outermost unit,
 * container, pod or user slice on the path of its cgroup, and the user in it. Nothing that an unprivileged user can create makes
 * another one.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "event.h"
#include "kernel.h"
#include "kernel_cgroups.h"
#include "load.h"
#include "origin_maps.h"
#include "paths.h"
#include "scratch.h"

#define ORIGIN_DEPTH_MAX 8 /* levels below the root that are searched for the outermost unit; deeper ones are never an origin */
#define USER_NAMESPACES_MAX 33 /* create_user_ns() allows levels up to 32 */
#define WRITABLE_BY_OTHERS 022 /* by the group or by all */
#define SLICE ".slice"

/* Directories that container runtimes and cgroup managers make for many units. Slices are known by their suffix. */
#define GROUPING_BYTES 16
static const char groupings[][GROUPING_BYTES] __attribute__((aligned(8))) = {
	"docker",     "kubepods", "burstable",  "besteffort", "machine", "lxc",   "lxc.payload", "libpod_parent",
	"containerd", "k8s.io",   "kubelet",    "buildkit",   "garden",  "ecs",   "moby",        "default",
	"mesos",      "nomad",    "podruntime", "system",     "user",    "slurm",
};

/* 1 if a == b, else 0, without a branch: each would double what the verifier has to follow. */
static __always_inline __u64 equal(__u64 a, __u64 b)
{
	__u64 difference = a ^ b;

	return ((difference | -difference) >> 63) ^ 1;
}

/* Whether the name is one of groupings. */
static __always_inline __u64 is_listed(const struct cgroup_name *name)
{
	__u64 listed = 0;

	UNROLL
	for (unsigned int i = 0; i < sizeof(groupings) / GROUPING_BYTES; i++) {
		const __u64 *known = (const __u64 *)groupings[i];

		listed |= equal(name->words[0], known[0]) & equal(name->words[1], known[1]);
	}
	return listed;
}

/* Whether the name contains "-pod", as that of a slice which the kubelet makes for one pod does. */
static __always_inline __u64 names_pod(const struct cgroup_name *name)
{
	const unsigned char *bytes = (const void *)name->words;
	__u32 last = 0;
	__u64 found = 0;

	UNROLL
	for (int i = 0; i < CGROUP_NAME_BYTES; i++) {
		last = last << 8 | bytes[i];
		found |= equal(last, '-' << 24 | 'p' << 16 | 'o' << 8 | 'd');
	}
	return found;
}

/* Whether the name is `user-` and a digit, as that of the slice of one user. */
static __always_inline __u64 names_user(const struct cgroup_name *name)
{
	const unsigned char *bytes = (const void *)name->words;

	return bytes[0] == 'u' && bytes[1] == 's' && bytes[2] == 'e' && bytes[3] == 'r' && bytes[4] == '-' && bytes[5] >= '0' &&
	       bytes[5] <= '9';
}

/* Whether a directory holds many units, and is none itself: a slice that is not one user's or one pod's, or one of groupings. */
static __always_inline bool is_grouping(struct kernfs_node *node, struct cgroup_name *name)
{
	static const char slice[8] __attribute__((aligned(8))) = SLICE;
	const char *text = READ(node, name);
	__u64 suffix = 0;
	long bytes;

	__builtin_memset(name, 0, sizeof(*name));
	bytes = bpf_probe_read_kernel_str(name, sizeof(*name), text);
	if (bytes <= 0 || bytes >= (long)sizeof(*name))
		return false;
	if (bytes > (long)sizeof(SLICE))
		bpf_probe_read_kernel(&suffix, sizeof(SLICE), text + bytes - sizeof(SLICE));
	if (suffix != *(const __u64 *)slice)
		return is_listed(name);
	return !names_user(name) && !names_pod(name);
}

/* Whether an unprivileged user may create directories in it: then its children are no origins. */
static __always_inline bool is_writable(struct kernfs_node *node)
{
	return is_delegated(node) || READ(node, mode) & WRITABLE_BY_OTHERS;
}

/* A directory that holds many units, which only root makes: the next one on the path is the origin, not this one. */
static __always_inline bool holds_units(struct kernfs_node *node, struct cgroup_name *name)
{
	return is_grouping(node, name) && !is_writable(node);
}

/*
 * A step of the search for an origin: looks at the directory in the scratch record, and goes on to the one above. Returns 0 at the
 * root. As in task_parts.h, global functions are verified once, and take numbers only.
 */
__u64 step_to_origin(__u32 user)
{
	struct record *record = scratch(user);
	struct kernfs_node *node, *parent;

	if (!record)
		return 0;
	node = (void *)record->origin.directory;
	parent = kernfs_parent(node);
	if (!parent) {
		if (is_writable(node))
			record->origin.found = 0;
		return 0;
	}
	if (!record->origin.found || !holds_units(node, &record->origin.name))
		record->origin.found = (__u64)node;
	record->origin.directory = (__u64)parent;
	return 1;
}

/*
 * Finds the origin from below: the outermost of a cgroup and its ancestors that does not hold units. 0: the root. Before 6.1, one
 * deeper than CGROUP_DEPTH_MAX counts to the outermost directory.
 */
static __always_inline void search_origin(__u32 user, struct cgroup *cgroup, struct origin_cgroup *out)
{
	struct record *record = scratch(user);
	struct kernfs_node *found;

	out->origin = out->origin_node = 0;
	if (!record)
		return;
	if (has_ancestors()) {
		if (READ(cgroup, level) > ORIGIN_DEPTH_MAX)
			cgroup = ancestor_of(cgroup, ORIGIN_DEPTH_MAX);
	} else if (READ(cgroup, level) >= CGROUP_DEPTH_MAX) {
		out->origin = ancestor_id(cgroup, 1);
		return;
	}
	record->origin.directory = (__u64)READ(cgroup, kn);
	record->origin.found = 0;
	UNROLL
	for (int i = 0; i < CGROUP_DEPTH_MAX; i++)
		if (!step_to_origin(user))
			break;
	found = (void *)record->origin.found;
	out->origin_node = (__u64)found;
	out->origin = READ(found, id);
}

/* The origin of the task's cgroup. A user who churns cgroups displaces what is remembered of others, which costs a search. */
static __noinline struct origin_cgroup *origin_cgroup_of(__u32 user, struct task_struct *task)
{
	struct cgroup *cgroup = cgroup_of(task);
	struct kernfs_node *node = READ(cgroup, kn);
	__u64 id = READ(node, id);
	__u32 slot = id & (ORIGIN_CGROUPS - 1);
	struct origin_cgroup *known = bpf_map_lookup_elem(&origin_cgroups, &slot);

	if (!known || (known->id == id && known->node == (__u64)node))
		return known;
	/* A program that interrupts this one must not take the new id with the old origin. */
	known->id = 0;
	barrier();
	known->node = (__u64)node;
	search_origin(user, cgroup, known);
	barrier();
	known->id = id;
	return known;
}

/* The owner of the outermost user namespace, the initial one aside, that contains this one. */
static __noinline __u32 outermost_owner(struct user_namespace *outermost)
{
	UNROLL
	for (int i = 0; i < USER_NAMESPACES_MAX; i++) {
		if (READ(outermost, level) <= 1)
			break;
		outermost = READ(outermost, parent);
	}
	return READ(outermost, owner.val);
}

/* The real user: a set-user-ID program runs for who started it. Users of a namespace are its owner's (subuid(5)). */
static __always_inline __u32 origin_uid_of(struct task_struct *task)
{
	struct user_namespace *namespace = READ(task, cred, user_ns);

	return READ(namespace, level) ? outermost_owner(namespace) : READ(task, cred, uid.val);
}

/* user: enum scratch_user, the caller's own. */
static __always_inline struct origin origin_of(__u32 user, struct task_struct *task)
{
	struct origin_cgroup *cgroup = origin_cgroup_of(user, task);
	struct origin origin = {.cgroup = cgroup ? cgroup->origin : 0, .uid = origin_uid_of(task)};

	return origin;
}
