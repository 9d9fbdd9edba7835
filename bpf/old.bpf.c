// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs for kernels without a BPF ring buffer, 4.17 to 5.7 (docs/decisions/0123). They report less than those of whodunit.bpf.c, in the
 * same records (event.h), and are loaded nowhere else. What their verifiers do not allow is not used: loops, calls of functions, global
 * variables, jumps and arithmetic of 32 bits, more than 4,096 instructions, and every helper and map type that 4.17 does not have
 * (TestTheProgramsOfOldKernels… of package oldprobes checks that).
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "event.h"
#include "kernel.h"
#include "old_maps.h"
#include "old_report.h"
#include "old_signals.h"
#include "old_task.h"
#include "old_texts.h"
#include "siginfo.h"
#include "signal_rules.h"
#include "signals.h"
#include "task_fields.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* As on_signal_generate() of whodunit.bpf.c, without stops of processes. */
SEC("raw_tp/signal_generate")
int old_signal_generate(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 signo = ctx->args[0];
	__u32 result = ctx->args[4];
	struct task_struct *victim = (void *)ctx->args[2];
	struct signal_struct *signal;
	__u32 flags, action;
	bool committed;

	if (signo - 1 >= SIGNALS || HAS(HARMLESS, signo))
		return 0;
	if (result != TRACE_SIGNAL_DELIVERED && result != TRACE_SIGNAL_LOSE_INFO &&
	    !(result == TRACE_SIGNAL_IGNORED && HAS(REQUESTS, signo)))
		return 0;
	action = action_of(handler_of(victim, signo));
	if (action != ACTION_DEFAULT && !HAS(REQUESTS | CRASHES, signo))
		return 0;
	signal = READ(victim, signal);
	flags = READ(signal, flags);
	committed = result != TRACE_SIGNAL_IGNORED && flags & SIGNAL_GROUP_EXIT && (__u32)READ(signal, group_exit_code) == signo;
	if ((flags & SIGNAL_GROUP_EXIT && !committed) || !READ(signal, live.counter))
		return 0;
	if (!committed && HAS(CRASHES, signo) && action != ACTION_DEFAULT &&
	    READ((struct task_struct *)bpf_get_current_task(), signal) == signal)
		return 0;
	if (READ(victim, flags) & PF_KTHREAD)
		return 0;
	keep_signal(ctx, victim, action, committed);
	return 0;
}

/* As on_signal_deliver() of whodunit.bpf.c, without the stacks of crashes. */
SEC("raw_tp/signal_deliver")
int old_signal_deliver(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 signo = ctx->args[0];
	unsigned long siginfo = ctx->args[1];
	struct siginfo_words words;
	__u32 action;

	if (signo - 1 >= SIGNALS || HAS(HARMLESS | BIT(SIGKILL), signo))
		return 0;
	action = action_of((unsigned long)READ((struct k_sigaction *)ctx->args[2], sa.sa_handler));
	if (!HAS(FAULTS, signo) && action != ACTION_DEFAULT)
		return 0;
	words = read_siginfo(siginfo);
	if (HAS(FAULTS, signo) && words.code > 0)
		keep_fault(signo, &words, siginfo, action == ACTION_DEFAULT);
	else if (action == ACTION_DEFAULT)
		commit_pending(signo, &words);
	return 0;
}

/*
 * sched_process_fork fires in the parent, when the child is complete and does not run yet. A child that executes nothing runs what its parent
 * executed.
 */
SEC("raw_tp/sched_process_fork")
int old_sched_process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	struct old_key from, to;

	if (READ(child, group_leader) != child)
		return 0;
	from = key_of(READ(parent, group_leader), OLD_EXE);
	to = key_of(child, OLD_EXE);
	copy_texts(&to, &from);
	return 0;
}

/* As on_sched_process_exec() of whodunit.bpf.c, for what ends there, and for the texts. */
SEC("raw_tp/sched_process_exec")
int old_sched_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct mm_struct *mm = READ(task, mm);
	struct old_key key = key_of(READ(task, group_leader), OLD_EXE);
	__u64 now_ns = now();

	forget_last_program();
	if (!mm)
		return 0;
	keep_executable(&key, task, mm, now_ns);
	keep_arguments(&key, task, mm, now_ns);
	return 0;
}

/* As on_sched_process_exit() of whodunit.bpf.c before 6.16: live == 0 shows the last thread, or up to four that race, of which one reports. */
SEC("raw_tp/sched_process_exit")
int old_sched_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0], *leader;
	struct signal_struct *signal = READ(task, signal);
	struct old_counters *sums;
	struct old_key key;
	__u32 *count, status, zero = 0;

	if (READ(signal, live.counter) || READ(task, flags) & PF_KTHREAD)
		return 0;
	leader = READ(task, group_leader);
	key = key_of(leader, 0);
	if (bpf_map_update_elem(&old_seen, &key, &zero, BPF_NOEXIST))
		return 0;
	status = status_of(signal, leader);
	count = count_of(key.pid);
	if (status || (count && *count)) {
		report(task, leader, &key, status);
		if (count && *count)
			drop_facts(&key, count);
	} else {
		sums = counters();
		if (sums)
			sums->exits_normal++;
	}
	end_texts(&key);
	return 0;
}
