/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs of all kernels conclude from a signal and its victim: whodunit.bpf.c and old.bpf.c keep facts in maps of their own, by these
 * rules. They need no map.
 */
#pragma once

#include <stdbool.h>

#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "siginfo.h"
#include "signals.h"
#include "task_fields.h"

/* A process that exits later than this after a request exits for another reason. As in src/core/verdict/origin.ts. */
#define REQUEST_GRACE_NS 600000000000ull /* after one that asks to stop */
#define RERAISE_NS 60000000000ull  /* after one that may also ask to reload, or to dump */

/* include/trace/events/signal.h */
#define TRACE_SIGNAL_DELIVERED 0
#define TRACE_SIGNAL_IGNORED 1
#define TRACE_SIGNAL_LOSE_INFO 4

static __always_inline __u32 action_of(unsigned long handler)
{
	return handler == SIG_DFL ? ACTION_DEFAULT : handler == SIG_IGN ? ACTION_IGNORED : ACTION_HANDLED;
}

/* task is the only thread, or the last one: signals to others are gone. */
static __always_inline bool is_pending(struct task_struct *task, __u32 signo)
{
	return HAS(READ(task, signal, shared_pending.signal.sig[0]) | READ(task, pending.signal.sig[0]), signo);
}

/*
 * A termination request that is uncommitted, has the default action and is no longer in shared_pending was dequeued by sigwait(2)
 * or signalfd(2): the process handled it. Unknown if it was sent to a single thread, or if a tracer may have suppressed it.
 */
static __always_inline void mark_dequeued(struct signal_fact *fact, struct task_struct *victim)
{
	if (!HAS(REQUESTS | BIT(SIGABRT), fact->signo) || fact->committed || !fact->group || READ(victim, ptrace))
		return;
	if (!HAS(READ(victim, signal, shared_pending.signal.sig[0]), fact->signo))
		fact->action = ACTION_HANDLED;
}

static __always_inline bool is_handled(const struct signal_fact *request)
{
	return request->signo && request->action == ACTION_HANDLED;
}

/* How long after it an exit still answers a request. */
static __always_inline __u64 grace_ns(const struct signal_fact *request)
{
	return HAS(STOPS, request->signo) ? REQUEST_GRACE_NS : RERAISE_NS;
}

/*
 * Whether an exit of the process of task, its last thread, answers this request of another process, which it handled recently enough. Requests of
 * the kernel are left out as far as the fact alone shows that; the service leaves out the others.
 */
static __always_inline bool is_of_another(const struct signal_fact *request, struct task_struct *task)
{
	if (!HAS(REQUESTS | BIT(SIGABRT), request->signo) || is_pending(task, request->signo))
		return false;
	if (request->siginfo == SIGINFO_NOINFO && request->sender_flags & PF_EXITING)
		return false; /* PR_SET_PDEATHSIG */
	return request->code <= 0 && request->sender.pid && request->sender.pid != (__u32)READ(task, tgid);
}

static __always_inline void fill_siginfo(struct signal_fact *fact, unsigned long siginfo)
{
	struct siginfo_words words = read_siginfo(siginfo);

	fact->siginfo = siginfo < SIGINFO_REAL ? siginfo : SIGINFO_REAL;
	fact->code = words.code;
	fact->siginfo_pid = words.pid;
	fact->siginfo_uid = words.uid;
}

/* Codes of a real siginfo that only kill(2), rt_sigqueueinfo(2), tgkill(2) and their kind make (kernel/signal.c). */
static __always_inline bool is_made_by_call(const struct signal_fact *fact)
{
	return fact->siginfo == SIGINFO_REAL && (fact->code == SI_USER || fact->code == SI_QUEUE || fact->code == SI_TKILL);
}

/*
 * Whether the signal that is delivered is another one of the same number, because a tracer replaced it or the process raised it again: the siginfo
 * differs. A signal that was sent without siginfo is delivered with SI_USER or SI_KERNEL.
 */
static __always_inline bool is_another(const struct signal_fact *fact, const struct siginfo_words *delivered)
{
	return fact->result == TRACE_SIGNAL_DELIVERED &&
	       (fact->code != delivered->code || (fact->siginfo == SIGINFO_REAL && fact->siginfo_pid != delivered->pid));
}
