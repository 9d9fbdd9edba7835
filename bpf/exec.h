/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an exec leaves of the facts about a process (docs/decisions/0051). The next program did not handle what the last one did.
 * But pending signals stay pending, and SIG_IGN stays SIG_IGN: these facts are about the process, and remain.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "crash_registers.h"
#include "event.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "pending_facts.h"
#include "signal_facts.h"
#include "signals.h"
#include "stops.h"
#include "task.h"

/*
 * A request that was handled, or dequeued by sigwait(2), is forgotten; one that is still pending has no handler any more, and its
 * delivery may terminate the next program. Its siginfo is compared then, so that it must be in `signal` (commit_pending()). If
 * another pending signal is there, the request is forgotten.
 */
static __always_inline void keep_pending_request(struct pending_facts *facts, struct task_struct *task)
{
	struct signal_fact *request = &facts->request;

	if (!request->signo || request->action == ACTION_IGNORED || request->result == TRACE_SIGNAL_IGNORED)
		return;
	if (!facts->signal.signo && is_pending(task, request->signo)) {
		request->action = ACTION_DEFAULT;
		facts->signal = *request;
	}
	request->signo = 0;
}

/*
 * current executes a program. An exec of a process without facts costs one array lookup. The entry stays: another CPU may be
 * writing to it, and may only do that until the exit.
 */
static __always_inline void forget_last_program(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 *count = pending_count_of(READ(task, tgid));
	struct pending_facts *facts;
	struct signal_fact *signal;
	struct process_key key;

	if (!may_have_facts(count))
		return;
	key = key_of(READ(task, group_leader));
	facts = bpf_map_lookup_elem(&pending_facts, &key);
	if (!facts)
		return;
	forget_stop(facts, &key);
	facts->fault.signo = 0;
	facts->handled_fault.signo = 0;
	drop_registers(&key);
	signal = &facts->signal;
	if (signal->signo && !signal->committed && !is_pending(task, signal->signo))
		signal->signo = 0;
	keep_pending_request(facts, task);
}
