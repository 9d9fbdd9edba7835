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
#include "task_fields.h"
#include "trigger_thread.h"

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define EEXIST 17 /* include/uapi/asm-generic/errno-base.h */

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

/* A process terminates with this status: reports it, or counts it, and deletes the facts about it. pending: pending_of(). */
static __always_inline void on_termination(struct task_struct *task, struct task_struct *leader, __u32 status, __u32 pending,
					   enum exit_probe probe)
{
	struct process_key key = key_of(leader);
	bool has_facts = pending & ~PROGRAM_RUNS; /* during an overlap perhaps: an older build counts in another slot */
	bool is_graceful = false;
	__u64 now_ns;

	if (scope_id && !in_scope(task)) {
		if (has_facts)
			drop_facts(key.start_boottime_ns, key.pid);
		return;
	}
	if ((!has_group_dead() || (probe != ONLY_PROBE && (status || has_facts)) || pending & OVERLAP) && !first_report(&key))
		return;
	if (has_facts && !(status & STATUS_SIGNAL))
		is_graceful = stops_gracefully(task, leader) && !status;
	if (!status && !is_graceful) {
		count_normal_exit();
	} else {
		now_ns = bpf_ktime_get_boot_ns();
		if (!count_repeat(task, leader, status, has_facts, now_ns))
			report(task, leader, READ(task, signal), status, has_facts, now_ns);
	}
	if (has_facts) {
		drop_facts(key.start_boottime_ns, key.pid);
		drop_registers(&key);
	}
}

/*
 * The last thread of a process exits, and not normally, or facts about it are kept. A function of its own: the stack and the code of
 * a report would be cold in each normal exit, too (docs/decisions/0079). Returns 0.
 */
static __noinline __u64 on_notable_exit(struct task_struct *task, enum exit_probe probe)
{
	struct task_struct *leader = READ(task, group_leader);
	__u32 pid = READ(task, tgid), *slot = pending_count_of(pid), pending = slot ? pending_of(*slot, pid) : 0;
	__u32 status = status_of(READ(task, signal), leader);

	if (READ(task, flags) & PF_KTHREAD)
		return 0;
	on_termination(task, leader, status, pending, probe);
	if (pending & PROGRAM_RUNS)
		end_program(status);
	return 0;
}

/*
 * The last thread of a process exits. All but the rare is here, and reads only what shows that a status is not 0. The slot of the array says
 * nearly always that nothing is known of the process, which saves a lookup in the hash. Where an older ABI pinned an array without a slot for
 * this pid, the other function looks further.
 */
static __always_inline void on_last_exit(struct task_struct *task, __u32 group_exit_code, enum exit_probe probe)
{
	__u32 pid = READ(task, tgid), *slot = own_slot_of(pid), pending = slot ? pending_of(*slot, pid) : OVERLAP;

	if (UNLIKELY(pending & ~PROGRAM_RUNS || group_exit_code | READ(task, group_leader, exit_code) ||
		     READ(task, flags) & PF_KTHREAD || scope_id)) {
		on_notable_exit(task, probe);
		return;
	}
	count_normal_exit();
	if (pending & PROGRAM_RUNS)
		end_program(0);
}

/*
 * A thread exits. Since 6.16 the tracepoint says whether it is the last one. Before, signal->live == 0 says so, but up to four
 * racing threads can read that: the first to enter `seen` reports.
 */
static __always_inline void on_exit(struct bpf_raw_tracepoint_args *ctx, enum exit_probe probe)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 group_exit_code;

	if (probe != ONLY_PROBE && !is_first_probe(task, probe))
		return;
	if (probe > FIRST_PROBE)
		count_rescued();
	if (!has_group_dead()) {
		if (!READ(task, signal, live.counter))
			on_notable_exit(task, probe);
		return;
	}
	group_exit_code = READ(task, signal, group_exit_code);
	/* Tested before the constant, whose cache line a normal exit then does not need. */
	if (UNLIKELY(group_exit_code) && wants_thread_context)
		mark_exit_group_caller(task);
	if (ctx->args[1] & 0xff)
		on_last_exit(task, group_exit_code, probe);
}
