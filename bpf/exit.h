/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Decides whether the exit of a thread is the termination of its process, and whether this program reports it.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "features.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "paths.h"
#include "pending_facts.h"
#include "repeats.h"
#include "report.h"
#include "signal_facts.h"
#include "task.h"
#include "trigger_thread.h"

#define EEXIST 17 /* include/uapi/asm-generic/errno-base.h */

/* The status as wait_task_zombie() computes it: that of the group if it exited as a group, else that of the leader. */
static __always_inline __u32 status_of(struct signal_struct *signal, struct task_struct *leader)
{
	if (READ(signal, flags) & SIGNAL_GROUP_EXIT)
		return READ(signal, group_exit_code);
	return READ(leader, exit_code);
}

/*
 * False: a probe of this build already ran for this exit. Another thread of the same slot overwrites the entry only if it exits at
 * the same time. The address of a task is reused; its id and start time pass to a thread that execs and becomes the leader
 * (de_thread()). All three together are unique.
 */
static __always_inline bool first_probe(struct task_struct *task)
{
	__u64 thread = (__u64)task ^ READ(task, start_boottime);
	__u32 slot = READ(task, pid) & (EXIT_SLOTS - 1);
	__u64 *last = bpf_map_lookup_elem(&probed_exits, &slot);

	if (!last)
		return true;
	if (*last == thread)
		return false;
	*last = thread;
	return true;
}

/* False: the process is already in `seen`. */
static __always_inline bool first_report(const struct process_key *key)
{
	__u32 zero = 0;

	/* As an int: before 6.4 (bpf: return long from bpf_map_ops funcs) only the lower 32 bits of the result are defined. */
	return (int)bpf_map_update_elem(&seen, key, &zero, BPF_NOEXIST) != -EEXIST;
}

/* The last thread of a process exits: reports the termination or counts a normal exit, and deletes the facts about the process. */
static __always_inline void on_last_exit(struct task_struct *task, struct signal_struct *signal, struct counters *counters,
					 bool preemptible)
{
	struct task_struct *leader = READ(task, group_leader);
	struct pending_facts *facts;
	__u32 *count, pending, status;
	struct process_key key;
	bool has_facts;

	/* The slot of the array is nearly always 0 here, which saves a lookup in the hash. */
	count = pending_count_of(READ(task, tgid));
	pending = count ? *count : 0;
	has_facts = pending & ~OVERLAP;
	if (scope_id && !in_scope(task)) {
		if (has_facts) {
			key = key_of(leader);
			drop_facts(&key);
		}
		return;
	}
	status = status_of(signal, leader);
	if (!has_group_dead() || (preemptible && status) || pending & OVERLAP) {
		key = key_of(leader);
		if (!first_report(&key))
			return;
	}
	if (has_facts && status && !(status & STATUS_SIGNAL)) {
		key = key_of(leader);
		facts = bpf_map_lookup_elem(&pending_facts, &key);
		if (facts)
			mark_dequeued(&facts->signal, task);
	}
	if (!status)
		counters->exits_normal++;
	else if (!count_repeat(task, leader, status, has_facts))
		report(task, leader, signal, status, has_facts, counters);
	if (has_facts) {
		key = key_of(leader);
		drop_facts(&key);
	}
}

/*
 * A thread exits. Since 6.16 the tracepoint says whether it is the last one. Before, signal->live == 0 says so, but up to four
 * racing threads can read that: the first to enter `seen` reports. preemptible: other probes of this build may run for the same
 * exit. again: the caller is the second or third of them.
 */
static __always_inline void on_exit(struct bpf_raw_tracepoint_args *ctx, bool preemptible, bool again)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct signal_struct *signal;
	struct counters *counters;
	__u32 zero = 0;

	counters = bpf_map_lookup_elem(&counters_map, &zero);
	if (!counters)
		return;
	if (preemptible && !first_probe(task))
		return;
	if (again)
		counters->exits_rescued++;
	if (wants_thread_context && has_group_dead())
		mark_exit_group_caller(task);
	if (has_group_dead() && !(ctx->args[1] & 0xff))
		return;
	signal = READ(task, signal);
	if (!has_group_dead() && READ(signal, live.counter))
		return;
	if (READ(task, flags) & PF_KTHREAD)
		return;
	on_last_exit(task, signal, counters, preemptible);
}
