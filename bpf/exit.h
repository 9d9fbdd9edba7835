/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Decides whether the exit of a thread is the termination of its process, and whether this program reports it.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "crash_registers.h"
#include "event.h"
#include "features.h"
#include "graceful_stop.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "paths.h"
#include "pending_facts.h"
#include "repeats.h"
#include "report.h"
#include "requests.h"
#include "task.h"
#include "trigger_thread.h"

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define EEXIST 17 /* include/uapi/asm-generic/errno-base.h */

/* The status as wait_task_zombie() computes it: that of the group if it exited as a group, else that of the leader. */
static __always_inline __u32 status_of(struct signal_struct *signal, struct task_struct *leader)
{
	if (READ(signal, flags) & SIGNAL_GROUP_EXIT)
		return READ(signal, group_exit_code);
	return READ(leader, exit_code);
}

/* A thread in `seen`. No process has pid 0. */
static __always_inline struct process_key key_of_thread(__u64 thread)
{
	struct process_key key = {.start_boottime_ns = thread};

	return key;
}

/* The programs of one build that run for an exit, in this order. Where tracepoints are not preemptible, there is only one. */
enum exit_probe {
	ONLY_PROBE,
	FIRST_PROBE,
	SECOND_PROBE,
	LAST_PROBE,
};

/*
 * False: another probe of this build already ran for this exit. A thread takes the slot of its id until its last probe has run. One
 * that exits at the same time and has the same slot displaces it, but puts it into `seen` before. The address of a task is reused; its
 * id and start time pass to a thread that execs and becomes the leader (de_thread()). All three together are unique.
 */
static __noinline bool is_first_probe(struct task_struct *task, enum exit_probe probe)
{
	__u64 thread = (__u64)task ^ READ(task, start_boottime), other;
	__u32 slot = READ(task, pid) & (EXIT_SLOTS - 1), zero = 0;
	volatile struct probed_exit *taken = bpf_map_lookup_elem(&probed_exits, &slot);
	struct process_key key = key_of_thread(thread);

	if (!taken)
		return true;
	other = taken->thread;
	if (other == thread) {
		if (probe == LAST_PROBE)
			taken->done = thread;
		return false;
	}
	if (probe != FIRST_PROBE && bpf_map_lookup_elem(&seen, &key))
		return false;
	if (probe == LAST_PROBE)
		return true;
	if (other != taken->done) {
		key = key_of_thread(other);
		bpf_map_update_elem(&seen, &key, &zero, BPF_ANY);
	}
	taken->thread = thread;
	return true;
}

static __always_inline void count_normal_exit(void)
{
	__u32 processor = bpf_get_smp_processor_id();
	struct processor_exits *exits = bpf_map_lookup_elem(&normal_exits, &processor);

	if (exits)
		exits->count++;
}

/* Returns 0. */
static __noinline __u64 count_rescued(void)
{
	__u32 zero = 0;
	struct counters *counters = bpf_map_lookup_elem(&counters_map, &zero);

	if (counters)
		counters->exits_rescued++;
	return 0;
}

/* False: the process is already in `seen`. */
static __always_inline bool first_report(const struct process_key *key)
{
	__u32 zero = 0;

	/* As an int: before 6.4 (bpf: return long from bpf_map_ops funcs) only the lower 32 bits of the result are defined. */
	return (int)bpf_map_update_elem(&seen, key, &zero, BPF_NOEXIST) != -EEXIST;
}

/*
 * A process terminates, and it is not a normal exit of which nothing is known: reports it, or counts it, and deletes the facts about it.
 * A function of its own: the stack and the code of a report would be cold in each normal exit, too (docs/decisions/0079). Returns 0.
 */
static __noinline __u64 on_termination(struct task_struct *task, __u32 status, __u32 pending, enum exit_probe probe)
{
	struct task_struct *leader = READ(task, group_leader);
	struct process_key key = key_of(leader);
	bool has_facts = pending & ~PROGRAM_RUNS; /* during an overlap perhaps: an older build counts in another slot */
	bool is_graceful = false;
	__u64 now_ns;

	if (scope_id && !in_scope(task)) {
		if (has_facts)
			drop_facts(key.start_boottime_ns, key.pid);
		return 0;
	}
	if ((!has_group_dead() || (probe != ONLY_PROBE && (status || has_facts)) || pending & OVERLAP) && !first_report(&key))
		return 0;
	if (has_facts && !(status & STATUS_SIGNAL))
		is_graceful = stops_gracefully(task, leader) && !status;
	now_ns = bpf_ktime_get_boot_ns();
	if (!status && !is_graceful)
		count_normal_exit();
	else if (!count_repeat(task, leader, status, has_facts, now_ns))
		report(task, leader, READ(task, signal), status, has_facts, now_ns);
	if (has_facts) {
		drop_facts(key.start_boottime_ns, key.pid);
		drop_registers(&key);
	}
	return 0;
}

/*
 * A thread exits. Since 6.16 the tracepoint says whether it is the last one. Before, signal->live == 0 says so, but up to four
 * racing threads can read that: the first to enter `seen` reports. Most exits are normal, and nothing is known of the process: they
 * read one slot and count. Everything else is on_termination().
 */
static __always_inline void on_exit(struct bpf_raw_tracepoint_args *ctx, enum exit_probe probe)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 *count, pending, status;
	struct signal_struct *signal;

	if (probe != ONLY_PROBE && !is_first_probe(task, probe))
		return;
	if (probe > FIRST_PROBE)
		count_rescued();
	signal = READ(task, signal);
	/* Tested before the constant, whose cache line a normal exit then does not need. */
	if (has_group_dead() && READ(signal, group_exit_code) && wants_thread_context)
		mark_exit_group_caller(task);
	if (has_group_dead() ? !(ctx->args[1] & 0xff) : READ(signal, live.counter))
		return;
	if (READ(task, flags) & PF_KTHREAD)
		return;
	/* The slot of the array nearly always says that there is nothing, which saves a lookup in the hash. */
	count = pending_count_of(READ(task, tgid));
	pending = count ? pending_of(*count, READ(task, tgid)) : 0;
	status = status_of(signal, READ(task, group_leader));
	if (UNLIKELY(status || pending & ~PROGRAM_RUNS || !has_group_dead() || (scope_id && !in_scope(task))))
		on_termination(task, status, pending, probe);
	else
		count_normal_exit();
	if (pending & PROGRAM_RUNS)
		end_program(status);
}
