/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Paths of files and cgroups, walked by hand, as bpf_d_path() is not allowed in these hooks. Both are written as names from the
 * leaf to the root, each with its NUL; the loader reverses them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "directories.h"
#include "event.h"
#include "kernel.h"
#include "kernel_cgroups.h"
#include "kernel_files.h"
#include "load.h"
#include "maps.h"

#define PATH_DEPTH_MAX 40  /* names and mounts on the way from an executable to the root */
#define CGROUP_CLIMB_MAX 64 /* before 6.1; of a cgroup that is deeper, no name is known */

/*
 * Flags in the lengths that these functions return. Lengths are 64 bits wide: the verifiers of 5.10 and 6.1 lose the bounds of
 * 32-bit ones.
 */
#define TRUNCATED 0x80000000ull
#define OUTSIDE_ROOT 0x40000000ull

/*
 * Writes the names of a path up to the task's root, across mounts. Returns the bytes, | TRUNCATED, or | OUTSIDE_ROOT if it does
 * not lie below that root. `out` has room for PATH_BYTES_MAX.
 */
static __noinline __u64 read_path(char *out, const struct path *path, const struct path *root)
{
	struct dentry *dentry = READ(path, dentry);
	struct dentry *root_dentry = READ(root, dentry);
	struct vfsmount *vfsmount = READ(path, mnt);
	struct vfsmount *root_vfsmount = READ(root, mnt);
	__u64 bytes = 0;

	UNROLL
	for (int i = 0; i < PATH_DEPTH_MAX; i++) {
		struct mount *mount = mount_of(vfsmount);
		struct mount *above = mount;

		if (!dentry || (dentry == root_dentry && vfsmount == root_vfsmount))
			return bytes;
		if (dentry == READ(vfsmount, mnt_root))
			above = READ(mount, mnt_parent);
		if (above != mount) {
			dentry = READ(mount, mnt_mountpoint);
			vfsmount = (void *)above + bpf_core_field_offset(struct mount, mnt);
		} else {
			struct dentry *child = dentry;
			long n;

			if (bytes > PATH_BYTES_MAX - NAME_BYTES_MAX)
				return bytes | TRUNCATED;
			/*
			 * The last dentry has a name, too. That of a memfd, whose file system is mounted nowhere, is the file's;
			 * others have "/", which the loader drops.
			 */
			n = bpf_probe_read_kernel_str(out + bytes, NAME_BYTES_MAX, READ(dentry, d_name.name));
			if (n > 0)
				bytes += n;
			dentry = READ(child, d_parent);
			if (dentry == child)
				return bytes | OUTSIDE_ROOT;
		}
	}
	return bytes | TRUNCATED;
}

/* 6.1: "cgroup: Replace cgroup->ancestor_ids[] with ->ancestors[]". */
static __always_inline bool has_ancestors(void)
{
	return bpf_core_field_exists(((struct cgroup *)0)->ancestors);
}

/* The ancestor of a cgroup at this level; itself at its own level. Only if has_ancestors(). */
static __always_inline struct cgroup *ancestor_of(struct cgroup *cgroup, __u32 level)
{
	void *ancestors = (void *)cgroup + bpf_core_field_offset(struct cgroup, ancestors);
	struct cgroup *ancestor = NULL;

	bpf_core_read(&ancestor, sizeof(ancestor), ancestors + level * sizeof(ancestor));
	return ancestor;
}

/* Where there are no ancestors[]: climbs from a directory at this level, and writes those next to the root to `out`, by level. */
static __noinline __u64 climb_cgroups(__u64 *out, struct kernfs_node *node, __u32 level)
{
	UNROLL
	for (int i = 0; i < CGROUP_CLIMB_MAX; i++) {
		if (!node || !level)
			break;
		out[level & (CGROUP_DIRECTORIES - 1)] = (__u64)node; /* a deeper one that was there is of no use */
		node = kernfs_parent(node);
		level--;
	}
	return level;
}

/*
 * Writes the names of a cgroup's path, from the root's children on: of a path that is too deep or too long, those that name unit, pod
 * and container are there. An empty name: those after it were chosen by another user than root. The name "/": the rest is missing.
 * `out` has room for PATH_BYTES_MAX, `directories` for CGROUP_DIRECTORIES. Returns the bytes, | TRUNCATED.
 */
static __noinline __u64 read_cgroup_path(char *out, struct cgroup *cgroup, __u64 *directories)
{
	__u32 level = READ(cgroup, level);
	bool known = has_ancestors() || !climb_cgroups(directories, READ(cgroup, kn), level);
	__u64 bytes = 0;

	UNROLL
	for (__u32 i = 1; i <= CGROUP_DEPTH_MAX + 1; i++) {
		struct kernfs_node *node;
		const char *name;
		long n;

		barrier_var(level); /* or the compiler makes it the bound of the loop, which it then cannot unroll */
		if (i > level)
			return bytes;
		if (!known || i > CGROUP_DEPTH_MAX)
			break;
		node = has_ancestors() ? READ(ancestor_of(cgroup, i), kn) : (void *)directories[i];
		name = READ(node, name);
		barrier_var(bytes); /* checked where it is used: see end_part_flagged() */
		if (bytes > PATH_BYTES_MAX - NAME_BYTES_MAX - 4)
			break;
		n = bpf_probe_read_kernel_str(out + bytes, NAME_BYTES_MAX, name);
		if (n > 0)
			bytes += n;
		barrier_var(bytes);
		if (bytes > PATH_BYTES_MAX - 4)
			break;
		out[bytes] = 0;
		bytes += is_delegated(node);
	}
	barrier_var(bytes);
	if (bytes <= PATH_BYTES_MAX - 2) {
		out[bytes] = '/';
		out[bytes + 1] = 0;
		bytes += 2;
	}
	return bytes | TRUNCATED;
}
static __always_inline struct cgroup *cgroup_of_subsystem(struct css_set *css_set, __u32 id)
{
	struct cgroup_subsys_state *css = NULL;

	bpf_core_read(&css, sizeof(css), &css_set->subsys[id & 15]);
	return css ? READ(css, cgroup) : NULL;
}

static __always_inline bool below_root(struct cgroup *cgroup)
{
	return cgroup && kernfs_parent(READ(cgroup, kn));
}

/* The task's cgroup of v2. If that is the root (v1, hybrid): the memory controller's, then the pids controller's. */
static __always_inline struct cgroup *cgroup_of(struct task_struct *task)
{
	struct css_set *css_set = READ(task, cgroups);
	struct cgroup *unified = READ(css_set, dfl_cgrp);
	struct cgroup *cgroup;

	if (below_root(unified))
		return unified;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
		cgroup = cgroup_of_subsystem(css_set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
		if (below_root(cgroup))
			return cgroup;
	}
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		cgroup = cgroup_of_subsystem(css_set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
		if (below_root(cgroup))
			return cgroup;
	}
	return unified;
}

/*
 * If only one subtree of cgroups is watched (WHODUNIT_SCOPE): the id of its top, and the hierarchy of that id, as ids are unique
 * within one hierarchy only. 0: the whole host.
 */
volatile const __u64 scope_id = 0; /* set by the loader */
volatile const __u32 scope_hierarchy = HIERARCHY_UNIFIED; /* set by the loader */

/* The id of a cgroup's ancestor at this level. */
static __always_inline __u64 ancestor_id(struct cgroup *cgroup, __u32 level)
{
	void *ids = (void *)cgroup + bpf_core_field_offset(struct cgroup___ids, ancestor_ids);
	__u64 id = 0;

	if (has_ancestors())
		return READ(ancestor_of(cgroup, level), kn, id);
	bpf_core_read(&id, sizeof(id), ids + level * sizeof(id)); /* CO-RE relocates no index into an array without a size */
	return id;
}

/* Whether the task is in the watched subtree, however deep. The loader ensures that its top is not deeper than CGROUP_DEPTH_MAX. */
static __noinline __u64 in_scope(struct task_struct *task)
{
	struct css_set *css_set = READ(task, cgroups);
	struct cgroup *cgroup = READ(css_set, dfl_cgrp);
	__u32 level;

	if (scope_hierarchy == HIERARCHY_MEMORY && bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		cgroup = cgroup_of_subsystem(css_set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
	if (scope_hierarchy == HIERARCHY_PIDS && bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		cgroup = cgroup_of_subsystem(css_set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
	if (!cgroup)
		return 0;
	level = READ(cgroup, level);

	UNROLL
	for (__u32 i = 1; i <= CGROUP_DEPTH_MAX; i++) {
		barrier_var(level);
		if (i > level)
			break;
		if (ancestor_id(cgroup, i) == scope_id)
			return 1;
	}
	return 0;
}
