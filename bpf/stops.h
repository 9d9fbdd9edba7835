/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stops of processes: who sent SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU, since when it has effect, and when SIGCONT ended it
 * (docs/decisions/0095). What comes meanwhile waits, but for SIGKILL: no flag of the kernel shows at the exit that the process was stopped.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "description.h"
#include "event.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "pending_facts.h"
#include "scratch.h"
#include "sender.h"
#include "signal_facts.h"
#include "signals.h"
#include "stop_maps.h"
#include "task.h"

/* include/linux/sched/signal.h */
#define SIGNAL_CLD_MASK 0x00000030
/* include/linux/sched/jobctl.h: the signal of the last stop in which the thread took part. It stays when the stop is over. */
#define JOBCTL_STOP_SIGMASK 0xffff

static __always_inline struct stop *stop_of(struct pending_facts *facts)
{
	return facts->holds.stop & STOP_KEPT ? bpf_map_lookup_elem(&stops, &facts->key) : NULL;
}

static __always_inline struct signal_fact *signal_of(struct stop *stop)
{
	return (struct signal_fact *)stop->signal;
}

static __always_inline bool is_kept(const struct signal_fact *fact)
{
	return fact->signo && fact->victim_stopped;
}

/* The facts of a process, without adding an entry. */
static __always_inline struct pending_facts *known_facts(const struct process_key *key)
{
	__u32 *count = pending_count_of(key->pid);

	return may_have_facts(count) ? bpf_map_lookup_elem(&pending_facts, key) : NULL;
}

static __always_inline void forget_stop(struct pending_facts *facts, const struct process_key *key)
{
	struct sender_part_key part = {.start_boottime_ns = key->start_boottime_ns, .pid = key->pid, .slot = 3};
	__u32 parts = parts_held(&facts->holds, 3);

	if (!facts->holds.stop)
		return;
	facts->holds.stop = 0;
	bpf_map_delete_elem(&stops, key);
	delete_sender_parts(&part, 0, parts);
	count_held(facts->holds.share, 0, -(__s32)parts);
}

/* A signal that may stop the victim was generated: keeps it, unless the victim is stopped already. */
static __always_inline void keep_stop(struct bpf_raw_tracepoint_args *ctx, struct task_struct *victim)
{
	struct task_struct *current = (void *)bpf_get_current_task(), *leader = READ(victim, group_leader);
	struct signal_struct *signal = READ(victim, signal);
	enum fact_kind kind = signal == READ(current, signal) ? FACT_SELF : FACT_REQUEST;
	struct record *record = scratch(SCRATCH_SIGNAL);
	struct process_key key = key_of(leader);
	__u32 signo = ctx->args[0];
	struct pending_facts *facts;
	struct signal_fact *fact;
	struct stop *stop;

	if (!record || is_stopped(signal) || READ(signal, flags) & SIGNAL_GROUP_EXIT || !READ(signal, live.counter))
		return;
	facts = facts_of(SCRATCH_SIGNAL, leader, kind);
	if (!facts)
		return;
	/* Made here and copied as a whole, as the victim may exit at any time. */
	stop = &record->stop;
	stop->since_ns = stop->continued_ns = 0;
	stop->repeated = stop->effective = 0;
	fact = signal_of(stop);
	fact->time_ns = bpf_ktime_get_boot_ns();
	fact->signo = signo;
	fill_siginfo(fact, ctx->args[1]);
	fact->result = ctx->args[4];
	fact->action = ACTION_DEFAULT;
	fact->committed = false;
	fact->group = ctx->args[3] != 0;
	fact->sender_slot = 0;
	fact->victim_stopped = false;
	fact->target_tid = READ(victim, pid);
	fact->stack_frames = 0;
	fill_sender(fact, current, READ(current, group_leader), key_of(READ(current, group_leader)));
	if (is_described(fact) && fact->sender.pid && fact->sender.pid != key.pid)
		keep_sender(facts, &key, fact, 3, kind);
	facts->holds.stop |= STOP_KEPT;
	bpf_map_update_elem(&stops, &key, stop, BPF_ANY);
	if (!is_entry_of(facts, leader) || has_exited(leader))
		bpf_map_delete_elem(&stops, &key);
}

/* SIGCONT was generated, and prepare_signal() did its work. The stop is over; it is kept only for a signal that waited for that. */
static __always_inline void end_stop(struct task_struct *victim)
{
	struct process_key key = key_of(READ(victim, group_leader));
	struct pending_facts *facts = known_facts(&key);
	__u32 flags = READ(victim, signal, flags);
	struct stop *stop;

	if (!facts || flags & SIGNAL_GROUP_EXIT)
		return;
	stop = stop_of(facts);
	if (!stop || stop->continued_ns)
		return;
	if (flags & SIGNAL_CLD_MASK && (is_kept(&facts->signal) || is_kept(&facts->request))) {
		stop->continued_ns = bpf_ktime_get_boot_ns();
		return;
	}
	forget_stop(facts, &key);
	if (!facts->signal.signo && !facts->request.signo && !facts->fault.signo && !facts->handled_fault.signo)
		drop_facts(key.start_boottime_ns, key.pid);
}

/* A signal that stops or continues was generated. Others that are harmless change nothing. Returns 0. */
static __noinline __u64 on_job_control(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *victim = (void *)ctx->args[2];
	__u32 signo = ctx->args[0];
	__u32 result = ctx->args[4];

	if (signo == SIGCONT)
		end_stop(victim);
	else if ((result == TRACE_SIGNAL_DELIVERED || result == TRACE_SIGNAL_LOSE_INFO) &&
		 action_of(handler_of(victim, signo)) == ACTION_DEFAULT && !(READ(victim, flags) & PF_KTHREAD))
		keep_stop(ctx, victim);
	return 0;
}

/*
 * A signal that stops is delivered to current. SIGSTOP takes effect; the others do not if the process group is orphaned, which jobctl then
 * shows at the exit (get_signal() in kernel/signal.c).
 */
static __always_inline void begin_stop(__u32 signo)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct process_key key = key_of(READ(current, group_leader));
	struct pending_facts *facts = known_facts(&key);
	struct stop *stop = facts ? stop_of(facts) : NULL;

	if (!stop || stop->since_ns || signal_of(stop)->signo != signo)
		return;
	stop->since_ns = bpf_ktime_get_boot_ns();
	stop->repeated = (READ(current, jobctl) & JOBCTL_STOP_SIGMASK) == signo;
}

/* Whether the signal came during this stop. */
static __always_inline bool waited(const struct signal_fact *fact, struct stop *stop)
{
	return is_kept(fact) && fact->time_ns >= signal_of(stop)->time_ns;
}

/* Whether the process was stopped by this stop, for all that is known. task is its last thread. */
static __always_inline bool took_effect(struct stop *stop, struct pending_facts *facts, struct task_struct *task)
{
	__u32 signo = signal_of(stop)->signo;

	if (waited(&facts->signal, stop) || waited(&facts->request, stop))
		return true;
	if (!stop->since_ns)
		return false;
	return signo == SIGSTOP || (!stop->repeated && (READ(task, jobctl) & JOBCTL_STOP_SIGMASK) == signo);
}
