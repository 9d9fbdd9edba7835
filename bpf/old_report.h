/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The termination of a process, written into a slot of the queue.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "directories.h"
#include "event.h"
#include "kernel.h"
#include "kernel_cgroups.h"
#include "old_maps.h"
#include "old_signals.h"
#include "old_task.h"
#include "old_texts.h"
#include "signal_rules.h"
#include "task_fields.h"

#define CLOCK_VALID_NS 10000000000ull /* the loader publishes every 5 s at least */

static __always_inline __s64 clock_offset_at(__u64 now_ns)
{
	__u32 zero = 0;
	struct old_clock *clock = bpf_map_lookup_elem(&old_wall_clock, &zero);

	return clock && now_ns - clock->published_ns < CLOCK_VALID_NS ? clock->offset_ns : 0;
}

/* is_delegated(), also before 5.1. At each directory of a path, a second read would be too much for old verifiers. */
static __always_inline __u64 is_of_another_user(struct kernfs_node *directory)
{
	__u64 offset;
	kuid_t owner = {};

	if (bpf_core_field_exists(((struct kernfs_iattrs___nested *)0)->ia_iattr)) {
		offset = bpf_core_field_offset(struct kernfs_iattrs___nested, ia_iattr.ia_uid);
		barrier_var(offset); /* or the compiler takes both before it chooses: one does not exist */
	} else if (bpf_core_field_exists(((struct kernfs_iattrs *)0)->ia_uid)) {
		offset = bpf_core_field_offset(struct kernfs_iattrs, ia_uid);
		barrier_var(offset);
	} else {
		return 0;
	}
	bpf_probe_read(&owner, sizeof(owner), (void *)READ(directory, iattr) + offset);
	return ((__u64)owner.val + 0xffffffff) >> 32;
}

static __always_inline struct kernfs_node *directory_of_subsystem(struct css_set *css_set, __u32 id)
{
	struct cgroup_subsys_state *css = NULL;

	bpf_core_read(&css, sizeof(css), &css_set->subsys[id & 15]);
	return READ(css, cgroup, kn);
}

/* The directory of the task's cgroup of v2. If that is the root (v1, hybrid): the memory controller's, then the pids controller's. */
static __always_inline struct kernfs_node *cgroup_directory_of(struct task_struct *task)
{
	struct css_set *css_set = READ(task, cgroups);
	struct kernfs_node *directory = READ(css_set, dfl_cgrp, kn);

	if (!kernfs_parent(directory) && bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		directory = directory_of_subsystem(css_set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
	if (!kernfs_parent(directory) && bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		directory = directory_of_subsystem(css_set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
	return directory;
}

/* Writes the names of a cgroup's path, from the leaf to the root. Returns the bytes, or OLD_CGROUP_UNKNOWN. */
static __always_inline __u32 read_cgroup(char *out, struct task_struct *task)
{
	struct kernfs_node *directory = cgroup_directory_of(task);
	__u64 bytes = 0;

	UNROLL
	for (int i = 0; i <= CGROUP_DEPTH_MAX; i++) {
		struct kernfs_node *parent = kernfs_parent(directory);
		long n;

		if (!parent)
			return bytes;
		if (bytes > OLD_CGROUP_BYTES - 8)
			return OLD_CGROUP_UNKNOWN;
		out[bytes & (OLD_CGROUP_BYTES - 1)] = 0;
		bytes += is_of_another_user(directory);
		n = bpf_probe_read_str(out + (bytes & (OLD_CGROUP_BYTES - 1)), NAME_BYTES_MAX, READ(directory, name));
		if (n > 0)
			bytes += n;
		directory = parent;
	}
	return OLD_CGROUP_UNKNOWN;
}

/* Where a record goes. Programs of exits do not interrupt each other: what belongs to a CPU changes by one at a time. */
struct place {
	struct old_slot *slot;
	__u64 *head;
	__u64 *written; /* of the share */
};

/* Whose record it is: the real user; in a user namespace its owner. */
static __always_inline __u32 origin_uid_of(struct task_struct *task)
{
	struct user_namespace *user_ns = READ(task, cred, user_ns);

	return READ(user_ns, level) ? READ(user_ns, owner.val) : READ(task, cred, uid.val);
}

/* False: there is no room, or the user has as much as is free: the service has not acknowledged what is there. */
static __always_inline bool find_place(struct place *place, __u32 uid)
{
	__u32 cpu = bpf_get_smp_processor_id(), zero = 0, index;
	__u32 share = (uid * 0x9e3779b1) >> 24 & (OLD_SHARES - 1);
	struct old_tail *tail = bpf_map_lookup_elem(&old_tails, &cpu);
	__u64 *returned, free;

	if (!tail)
		return false;
	place->head = bpf_map_lookup_elem(&old_heads, &zero);
	if (!place->head)
		return false;
	place->written = bpf_map_lookup_elem(&old_written, &share);
	if (!place->written)
		return false;
	/* Or clang keeps a copy from before the comparison: up to 4.9, only what was compared itself can be used. */
	barrier_var(place->written);
	index = cpu * OLD_SHARES + share;
	returned = bpf_map_lookup_elem(&old_returned, &index);
	if (!returned)
		return false;
	free = tail->slots - (*place->head - tail->acknowledged);
	if (*place->written - *returned >= free)
		return false;
	index = cpu * tail->slots + (*place->head & (tail->slots - 1));
	place->slot = bpf_map_lookup_elem(&old_slots, &index);
	if (!place->slot)
		return false;
	place->slot->share = share;
	return true;
}

/* Begins the record of a process with its key. False: it is lost, and counted. */
static __always_inline bool open_place(struct place *place, struct task_struct *task, const struct old_key *key,
				       struct old_counters *sums)
{
	if (!find_place(place, origin_uid_of(task))) {
		COUNT(sums->lost_queue_full);
		return false;
	}
	place->slot->event.key.start_boottime_ns = key->start_boottime_ns;
	place->slot->event.key.pid = key->pid;
	place->slot->event.key.zero = 0;
	return true;
}

/* The loader may read the record. */
static __always_inline void close_place(struct place *place, struct old_counters *sums)
{
	(*place->written)++;
	(*place->head)++;
	COUNT(sums->terminations);
}

static __always_inline void append_fault(struct fault *out, struct old_key *key, enum old_kind kind)
{
	struct old_fact *fact = fact_of(key, kind);

	out->signo = 0;
	if (fact)
		bpf_probe_read(out, sizeof(*out), fact);
}

static __always_inline bool append_signal(struct old_fact *out, struct old_key *key, enum old_kind kind)
{
	struct old_fact *fact = fact_of(key, kind);

	signal_of(out)->signo = 0;
	if (fact)
		bpf_probe_read(out, sizeof(*out), fact);
	return fact;
}

/* What the sender executed since is not what sent the signal, nor are ancestors that were read later. */
static __always_inline void append_sender(struct old_program *program, struct old_ancestors *ancestors,
					  const struct signal_fact *signal)
{
	struct old_key sender = {
		.start_boottime_ns = signal->sender.start_boottime_ns, .pid = signal->sender.pid, .kind = OLD_SENDER};
	struct old_ancestors *known;

	program->exe.bytes = program->args[0].bytes = ancestors->count = 0;
	if (!signal->signo || !sender.pid)
		return;
	known = bpf_map_lookup_elem(&old_senders, &sender);
	if (known && known->time_ns <= signal->time_ns)
		bpf_probe_read(ancestors, sizeof(*ancestors), known);
	append_program(program, sender, signal->time_ns, 0);
}

/* At the exit of the last thread: a request that it dequeued is its request, unless a later one is, or another process's. */
static __always_inline void settle_request(struct old_slot *slot, struct task_struct *task)
{
	struct signal_fact *dequeued = signal_of(&slot->signal), *request = signal_of(&slot->request);

	if (!dequeued->signo)
		return;
	mark_dequeued(dequeued, task);
	if (dequeued->committed || dequeued->action != ACTION_HANDLED)
		return;
	if (request->signo && (request->time_ns > dequeued->time_ns || dequeued->sender.pid == slot->event.key.pid))
		return;
	bpf_probe_read(&slot->request, sizeof(slot->request), &slot->signal);
	dequeued->signo = 0;
}

static __always_inline void fill_event(struct event *event, struct task_struct *task, struct task_struct *leader, __u32 status)
{
	struct upid *upid = upid_of(leader);

	event->abi = EVENT_ABI;
	event->flags = 0;
	event->time_ns = now();
	event->status_raw = status_after_reboot(upid, status);
	event->vpid = READ(upid, nr);
	event->parent_pid = READ(leader, real_parent, tgid);
	event->tid = READ(task, pid);
	event->uid = READ(task, cred, euid.val);
	event->gid = READ(task, cred, egid.val);
	event->seccomp_mode = READ(task, seccomp.mode);
	event->pdeath_signal = READ(leader, pdeath_signal);
	event->ptrace = READ(task, ptrace) | READ(leader, ptrace);
	read_comm(event->comm, leader);
	read_comm(event->thread_comm, task);
	event->origin.cgroup = 0;
	event->origin.uid = origin_uid_of(task);
	event->origin.reserved = 0;
	event->clock_offset_ns = clock_offset_at(event->time_ns);
	if (in_user_namespace(task))
		event->flags |= EVENT_FLAG_USER_NAMESPACE;
	if (bpf_core_field_exists(((struct signal_struct *)0)->oom_mm) && READ(task, signal, oom_mm))
		event->flags |= EVENT_FLAG_OOM_VICTIM;
}

/* task is the last thread of a process, which does not end normally, or of which facts are kept. */
static __always_inline void report(struct task_struct *task, struct task_struct *leader, struct old_key *key, __u32 status)
{
	struct old_counters *sums = counters();
	struct place place;
	struct old_slot *slot;

	if (!sums || !open_place(&place, task, key, sums))
		return;
	slot = place.slot;
	slot->event.threads = 0;
	append_signal(&slot->request, key, OLD_REQUEST);
	if (append_signal(&slot->signal, key, OLD_SIGNAL))
		slot->event.threads = slot->signal.threads;
	else if (signal_of(&slot->request)->signo)
		slot->event.threads = slot->request.threads;
	settle_request(slot, task);
	if (!status && !is_answered(signal_of(&slot->request), task)) {
		sums->exits_normal++;
		return;
	}
	append_fault(&slot->fault, key, OLD_FAULT);
	append_fault(&slot->handled_fault, key, OLD_HANDLED_FAULT);
	fill_event(&slot->event, task, leader, status);
	read_credentials(&slot->credentials, task);
	slot->ancestors.time_ns = slot->event.time_ns;
	read_ancestors(&slot->ancestors, leader);
	/* An exec that failed late began another program, which is not known. */
	append_program(&slot->program, *key, slot->event.time_ns, exec_id_of(task));
	append_sender(&slot->signal_program, &slot->signal_ancestors, signal_of(&slot->signal));
	append_sender(&slot->request_program, &slot->request_ancestors, signal_of(&slot->request));
	slot->cgroup_bytes = read_cgroup(slot->cgroup, task);
	close_place(&place, sums);
}
