/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which generated signals are kept: those that terminate the victim, or may, or ask it to (signal_facts.h).
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "pending_facts.h"
#include "scratch.h"
#include "signal_facts.h"
#include "signals.h"

/*
 * A signal was generated that may terminate the victim, or asks it to: keeps it. A function of its own, as on_notable_exit() is: most signals
 * are ignored or handled, and then its code and stack would be cold. Returns 0.
 */
static __noinline __u64 on_notable_signal(struct bpf_raw_tracepoint_args *ctx, __u32 action)
{
	struct task_struct *victim = (void *)ctx->args[2], *current = (void *)bpf_get_current_task();
	struct signal_struct *signal = READ(victim, signal);
	__u32 signo = ctx->args[0], result = ctx->args[4], flags = READ(signal, flags);
	struct pending_facts *facts;
	enum fact_kind kind;
	bool committed;

	if (result != TRACE_SIGNAL_DELIVERED && result != TRACE_SIGNAL_LOSE_INFO &&
	    !(result == TRACE_SIGNAL_IGNORED && HAS(REQUESTS, signo)))
		return 0;
	committed = result != TRACE_SIGNAL_IGNORED && flags & SIGNAL_GROUP_EXIT && (__u32)READ(signal, group_exit_code) == signo;
	/* The victim already exits, or is a zombie. prepare_signal() drops a signal to such a process, but not on 5.10. */
	if ((flags & SIGNAL_GROUP_EXIT && !committed) || !READ(signal, live.counter))
		return 0;
	/* A crash signal that the process raises and handles itself is no request, and commits nothing. */
	if (!committed && HAS(CRASHES, signo) && action != ACTION_DEFAULT && READ(current, signal) == signal)
		return 0;
	if (READ(victim, flags) & PF_KTHREAD)
		return 0;
	kind = kind_of(victim, current, signo, result, action, committed);
	facts = facts_of(SCRATCH_SIGNAL, READ(victim, group_leader), kind);
	if (facts)
		keep_signal(ctx, facts, victim, current, action, committed, kind);
	return 0;
}
