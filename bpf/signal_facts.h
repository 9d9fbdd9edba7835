/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Filling pending_facts from the signal tracepoints: a generated signal and its sender, and whether a pending signal was
 * delivered.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "description.h"
#include "event.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "pending_facts.h"
#include "registers.h"
#include "sender.h"
#include "siginfo.h"
#include "signal_rules.h"
#include "signals.h"
#include "task.h"
#include "task_fields.h"
#include "trigger_thread.h"

/* Whether the process sent the signal to itself, or caused it, as by a write to a broken pipe: current is the thread that did. */
static __always_inline bool is_self_sent(const struct signal_fact *fact, const struct pending_facts *facts)
{
	return fact->sender.pid == facts->key.pid && (fact->code == SI_USER || fact->code == SI_QUEUE || fact->code == SI_TKILL);
}

/* At the exit of the last thread: a request that it dequeued is its request, unless a later one is, or another process's. */
static __always_inline void settle_request(struct pending_facts *facts, struct task_struct *task)
{
	struct signal_fact *dequeued = &facts->signal, *request = &facts->request;

	if (!dequeued->signo)
		return;
	mark_dequeued(dequeued, task);
	if (dequeued->committed || dequeued->action != ACTION_HANDLED)
		return;
	if (request->signo && (request->time_ns > dequeued->time_ns || dequeued->sender.pid == facts->key.pid))
		return;
	*request = *dequeued;
	dequeued->signo = 0;
}

/* Keeps a blocked termination request as the request, before another signal overwrites it. */
static __always_inline void keep_blocked_request(struct pending_facts *facts, struct task_struct *victim)
{
	struct signal_fact *blocked = &facts->signal;

	if (!HAS(REQUESTS, blocked->signo) || blocked->committed)
		return;
	if (facts->request.signo && blocked->sender.pid == facts->key.pid)
		return;
	mark_dequeued(blocked, victim);
	facts->request = *blocked;
}

/* Whether the process handled this request so shortly ago that an exit now would answer it. */
static __always_inline bool is_recent(const struct signal_fact *request)
{
	return is_handled(request) && bpf_ktime_get_boot_ns() - request->time_ns <= grace_ns(request);
}

/* The sender is current; sender and leader are its key and its leader. */
static __always_inline void fill_sender(struct signal_fact *fact, struct task_struct *current, struct task_struct *leader,
					struct process_key sender)
{
	struct system_call call = current_system_call();
	bool exits = READ(current, flags) & PF_EXITING;

	fact->syscall_nr = call.nr;
	fact->syscall_arch = call.arch;
	fact->sender_process_lives = exits && is_group_alive(READ(current, signal));
	fact->sender_tid = READ(current, pid);
	fact->sender = sender;
	fact->sender_uid = READ(current, cred, euid.val);
	fact->sender_flags = READ(current, flags) & (PF_EXITING | PF_KTHREAD);
	if (in_user_namespace(current))
		fact->sender_flags |= IN_USER_NAMESPACE;
	fact->sender_exec_id = exec_id(current);
	bpf_core_read(&fact->sender_comm, sizeof(fact->sender_comm), &leader->comm);
}

/*
 * The kernel stack shows whether a call or the kernel sent the signal, and why: taken unless the code shows it. Any process may
 * choose any other negative code (rt_sigqueueinfo(2)), and the kernel uses some of them in whatever task an interrupt finds.
 */
static __always_inline void fill_stack(struct signal_fact *fact, void *ctx)
{
	long bytes;

	fact->stack_frames = 0;
	if (is_made_by_call(fact))
		return;
	bytes = bpf_get_stack(ctx, fact->stack, sizeof(fact->stack), 0);
	if (bytes > 0)
		fact->stack_frames = bytes / sizeof(fact->stack[0]);
}

/* A signal with the default action commits at once, or when it is delivered: unless it is blocked, or a tracer may suppress it. */
static __always_inline enum fact_kind kind_of(struct task_struct *victim, struct task_struct *current, __u32 signo, __u32 result,
					      __u32 action, bool committed)
{
	if (committed || (action == ACTION_DEFAULT && result != TRACE_SIGNAL_IGNORED && !READ(victim, ptrace) &&
			  !HAS(READ(victim, blocked.sig[0]), signo)))
		return FACT_COMMITS;
	return READ(victim, signal) == READ(current, signal) ? FACT_SELF : FACT_REQUEST;
}

/* Keeps a generated signal, as the pending or committed one or as a termination request, unless an earlier one prevails. */
static __always_inline void keep_signal(struct bpf_raw_tracepoint_args *ctx, struct pending_facts *facts,
					struct task_struct *victim, struct task_struct *current, __u32 action, bool committed,
					enum fact_kind kind)
{
	struct task_struct *leader = READ(victim, group_leader), *current_leader;
	struct process_key key = key_of(leader);
	__u32 signo = ctx->args[0];
	__u32 result = ctx->args[4];
	struct signal_fact *fact, *other;
	struct process_key sender;
	bool is_request;

	/* SIGNAL_UNKILLABLE protects an init from a fatal default action: a request, like a signal that is ignored. */
	is_request = !committed && (action != ACTION_DEFAULT || result == TRACE_SIGNAL_IGNORED);
	fact = is_request ? &facts->request : &facts->signal;
	other = is_request ? &facts->signal : &facts->request;
	/*
	 * Only SIGKILL, during a core dump, replaces the signal that terminated it; another one of the same number has no
	 * effect.
	 */
	if (fact->committed && (!committed || fact->signo == signo))
		return;
	if (!is_request && fact->signo != signo)
		keep_blocked_request(facts, victim);
	current_leader = READ(current, group_leader);
	sender = key_of(current_leader);
	/* The first requester counts: runtimes handle the request and raise the same signal again (Go does so twice). */
	if (is_request && fact->signo && fact->sender.pid != facts->key.pid && sender.pid == facts->key.pid)
		return;
	/* What is ignored explains no exit: it does not displace what may. */
	if (is_request && action != ACTION_HANDLED && is_recent(fact))
		return;
	facts->threads = READ(victim, signal, nr_threads);

	fact->time_ns = bpf_ktime_get_boot_ns();
	fact->signo = signo;
	fill_siginfo(fact, ctx->args[1]);
	fact->result = result;
	fact->action = action;
	fact->committed = committed;
	fact->group = ctx->args[3] != 0;
	fact->sender_slot = 0;
	fact->victim_stopped = is_stopped(READ(victim, signal));
	fact->target_tid = READ(victim, pid);
	fill_sender(fact, current, current_leader, sender);
	fill_stack(fact, ctx);
	/* With any other code, current may have called: rt_sigqueueinfo(2) sets each negative one. */
	if (is_described(fact) && fact->sender.pid && fact->sender.pid != key.pid)
		keep_sender(facts, &key, fact, other->signo && other->sender_slot == 1 ? 2 : 1, kind);
	if (!is_entry_of(facts, leader)) {
		fact->signo = 0;
		count_memory_full();
		return;
	}
	if (wants_thread_context && committed && is_self_sent(fact, facts))
		mark_trigger_thread(signo);
}

/*
 * A pending signal is delivered with SIG_DFL: it dumps core, was blocked, or a tracer let it through. If it is another one, the fact is dropped, as
 * its sender did not cause the termination.
 */
static __always_inline void commit_pending(__u32 signo, const struct siginfo_words *siginfo)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct process_key key = key_of(READ(current, group_leader));
	struct pending_facts *facts = bpf_map_lookup_elem(&pending_facts, &key);
	struct signal_fact *fact;

	if (!facts)
		return;
	fact = &facts->signal;
	if (fact->signo != signo || fact->committed)
		return;
	if (is_another(fact, siginfo))
		fact->signo = 0;
	else
		fact->committed = true;
	/* If another thread sent it, the span that it had open at that time is not known. */
	if (wants_thread_context && fact->signo && is_self_sent(fact, facts) && fact->sender_tid == (__u32)READ(current, pid))
		mark_trigger_thread(signo);
}

/* A fault of current, as delivered. */
static __always_inline void fill_fault(struct fault *fault, __u32 signo, const struct siginfo_words *words, unsigned long siginfo)
{
	struct task_struct *current = (void *)bpf_get_current_task();

	fault->time_ns = bpf_ktime_get_boot_ns();
	fault->signo = signo;
	fault->code = words->code;
	fault->syscall_nr = -1;
	fault->syscall_arch = 0;
	if (siginfo >= SIGINFO_REAL && signo == SIGSYS) {
		bpf_probe_read_kernel(&fault->syscall_nr, sizeof(fault->syscall_nr), (void *)siginfo + SIGINFO_SYSCALL);
		bpf_probe_read_kernel(&fault->syscall_arch, sizeof(fault->syscall_arch), (void *)siginfo + SIGINFO_ARCH);
	}
	fault->address = words->address;
	fault->tid = READ(current, pid);
	bpf_get_current_comm(&fault->thread_comm, sizeof(fault->thread_comm));
	read_registers(fault);
	read_trap(fault, current);
}
