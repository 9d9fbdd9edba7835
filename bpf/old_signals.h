/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the signal tracepoints show, and where it is kept (old_facts.h). Stops of processes are not.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "event.h"
#include "kernel.h"
#include "old_facts.h"
#include "old_maps.h"
#include "old_task.h"
#include "siginfo.h"
#include "signal_rules.h"
#include "signals.h"
#include "task_fields.h"

/* The sender is current. Its system call is not known: bpf_task_pt_regs() came with 5.15. */
static __always_inline void fill_sender(struct signal_fact *fact, struct task_struct *current)
{
	struct task_struct *leader = READ(current, group_leader);
	__u32 flags = READ(current, flags) & (PF_EXITING | PF_KTHREAD);

	fact->syscall_nr = -1;
	fact->sender_process_lives = flags & PF_EXITING && is_group_alive(READ(current, signal));
	fact->sender_tid = READ(current, pid);
	fact->sender.start_boottime_ns = start_of(leader);
	fact->sender.pid = READ(leader, tgid);
	fact->sender_uid = READ(current, cred, euid.val);
	fact->sender_flags = flags | (in_user_namespace(current) ? IN_USER_NAMESPACE : 0);
	bpf_core_read(&fact->sender_comm, sizeof(fact->sender_comm), &leader->comm);
}

#define SENDER_VALID_NS 1000000000

/* Keeps the ancestors of current, which may exit before its victim does. */
static __always_inline void keep_sender(const struct signal_fact *fact, struct task_struct *current)
{
	struct old_key key = {.start_boottime_ns = fact->sender.start_boottime_ns, .pid = fact->sender.pid, .kind = OLD_SENDER};
	struct old_ancestors *known = bpf_map_lookup_elem(&old_senders, &key), fresh = {.time_ns = fact->time_ns};

	if (known && fact->time_ns - known->time_ns < SENDER_VALID_NS)
		return;
	read_ancestors(&fresh, current);
	bpf_map_update_elem(&old_senders, &key, &fresh, BPF_ANY);
}

/* As in signal_facts.h. bpf_get_stack() came with 4.18: here the loader looks the stack up. */
static __always_inline void fill_stack(struct old_fact *fact, void *ctx)
{
	struct signal_fact *signal = signal_of(fact);
	long number;

	if (is_made_by_call(signal))
		return;
	number = bpf_get_stackid(ctx, &old_stacks, 0);
	if (number < 0) /* Another stack has its place, by its hash. Without its first frame it has another place. */
		number = bpf_get_stackid(ctx, &old_stacks, 1);
	if (number < 0)
		return;
	fact->stack = number;
	signal->stack_frames = 1;
}

/* Before 4.20, the kernel also passes SEND_SIG_FORCED: SEND_SIG_PRIV, with nothing in the queue ("signal: Remove SEND_SIG_FORCED"). */
#define SEND_SIG_FORCED 2

static __always_inline unsigned long without_forced(unsigned long siginfo)
{
	return siginfo == SEND_SIG_FORCED ? SIGINFO_PRIV : siginfo;
}

/* Keeps a generated signal, as the pending or committed one or as a termination request, unless an earlier one prevails. */
static __always_inline void keep_signal(struct bpf_raw_tracepoint_args *ctx, struct task_struct *victim, __u32 action,
					bool committed)
{
	struct task_struct *current = (void *)bpf_get_current_task(), *leader = READ(victim, group_leader);
	struct old_key key = key_of(leader, OLD_SIGNAL);
	__u32 signo = ctx->args[0];
	__u32 result = ctx->args[4];
	bool is_request = !committed && (action != ACTION_DEFAULT || result == TRACE_SIGNAL_IGNORED);
	struct old_fact *earlier = fact_of(&key, is_request ? OLD_REQUEST : OLD_SIGNAL), fact = {};
	struct signal_fact *signal = signal_of(&fact), *last = earlier ? signal_of(earlier) : NULL;

	if (last && last->committed && (!committed || last->signo == signo))
		return;
	if (!is_request && last && last->signo != signo)
		keep_blocked_request(&key, earlier, victim, leader, &fact);
	fill_sender(signal, current);
	if (is_request && last && last->signo) {
		if (last->sender.pid != key.pid && signal->sender.pid == key.pid)
			return;
		if (action != ACTION_HANDLED && is_recent(last))
			return;
	}
	signal->time_ns = now();
	signal->signo = signo;
	fill_siginfo(signal, without_forced(ctx->args[1]));
	signal->result = result;
	signal->action = action;
	signal->committed = committed;
	signal->group = ctx->args[3] != 0;
	signal->victim_stopped = is_stopped(READ(victim, signal));
	signal->target_tid = READ(victim, pid);
	fill_stack(&fact, ctx);
	read_credentials(&fact.users, current);
	fact.threads = READ(victim, signal, nr_threads);
	keep(&key, is_request ? OLD_REQUEST : OLD_SIGNAL, &fact, leader);
	if (signal->sender.pid != key.pid)
		keep_sender(signal, current);
}

/* A pending signal is delivered with SIG_DFL. Another one of the same number has another siginfo (commit_pending() in signal_facts.h). */
static __always_inline void commit_pending(__u32 signo, const struct siginfo_words *siginfo)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct old_key key = key_of(READ(current, group_leader), OLD_SIGNAL);
	struct old_fact *known = fact_of(&key, OLD_SIGNAL);
	struct signal_fact *fact;

	if (!known)
		return;
	fact = signal_of(known);
	if (fact->signo != signo || fact->committed)
		return;
	if (is_another(fact, siginfo))
		fact->signo = 0;
	else
		fact->committed = true;
}

static __always_inline void read_trap(struct fault *fault, struct task_struct *task)
{
	struct thread_struct___x86 *thread = (void *)task + bpf_core_field_offset(struct task_struct, thread);

	fault->has_trap = bpf_core_field_exists(thread->trap_nr);
	if (fault->has_trap) {
		fault->trap_nr = READ(thread, trap_nr);
		fault->error_code = READ(thread, error_code);
	}
}

/* Keeps a fault of current, as delivered. Its registers are not known, as in fill_sender(). */
static __always_inline void keep_fault(__u32 signo, const struct siginfo_words *words, unsigned long siginfo, bool terminates)
{
	struct task_struct *current = (void *)bpf_get_current_task(), *leader = READ(current, group_leader);
	enum old_kind kind = terminates ? OLD_FAULT : OLD_HANDLED_FAULT;
	struct old_key key = key_of(leader, kind);
	struct old_fact fact = {};
	struct fault *fault = (struct fault *)fact.bytes;

	fault->time_ns = now();
	fault->signo = signo;
	fault->code = words->code;
	fault->syscall_nr = -1;
	if (siginfo >= SIGINFO_REAL && signo == SIGSYS) {
		bpf_probe_read(&fault->syscall_nr, sizeof(fault->syscall_nr), (void *)siginfo + SIGINFO_SYSCALL);
		bpf_probe_read(&fault->syscall_arch, sizeof(fault->syscall_arch), (void *)siginfo + SIGINFO_ARCH);
	}
	fault->address = words->address;
	fault->tid = READ(current, pid);
	bpf_get_current_comm(&fault->thread_comm, sizeof(fault->thread_comm));
	read_trap(fault, current);
	keep(&key, kind, &fact, leader);
}

/* current executes a program: what the last one handled is not the next one's, but pending signals stay pending (exec.h). */
static __always_inline void forget_last_program(void)
{
	struct task_struct *task = (void *)bpf_get_current_task(), *leader = READ(task, group_leader);
	struct old_key key = key_of(leader, OLD_SIGNAL);
	__u32 *count = count_of(key.pid);
	struct old_fact *fact, copy = {};
	struct signal_fact *signal = NULL, *request;

	if (!count || !*count)
		return;
	drop_fact(&key, OLD_FAULT, count);
	drop_fact(&key, OLD_HANDLED_FAULT, count);
	fact = fact_of(&key, OLD_SIGNAL);
	if (fact)
		signal = signal_of(fact);
	if (signal && !signal->committed && !is_pending(task, signal->signo))
		signal->signo = 0;
	fact = fact_of(&key, OLD_REQUEST);
	if (!fact)
		return;
	request = signal_of(fact);
	if (request->action == ACTION_IGNORED || request->result == TRACE_SIGNAL_IGNORED)
		return;
	if ((!signal || !signal->signo) && is_pending(task, request->signo)) {
		bpf_probe_read(&copy, sizeof(copy), fact);
		signal_of(&copy)->action = ACTION_DEFAULT;
		keep(&key, OLD_SIGNAL, &copy, leader);
	}
	drop_fact(&key, OLD_REQUEST, count);
}
