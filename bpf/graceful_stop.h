/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether an exit with code 0 answers a termination request of another process: then it has a record (docs/decisions/0089). Other
 * exits with code 0 are only counted.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "pending_facts.h"
#include "signal_facts.h"
#include "signal_rules.h"
#include "signals.h"
#include "task.h"
#include "task_fields.h"

/* Whether an exit of the process of task, its last thread, answers this request. */
static __always_inline bool is_answered(const struct signal_fact *request, struct task_struct *task)
{
	return is_recent(request) && is_of_another(request, task);
}

/* task is the last thread of a process with pending facts, and exits with any code. */
static __always_inline bool stops_gracefully(struct task_struct *task, struct task_struct *leader)
{
	struct process_key key = key_of(leader);
	struct pending_facts *facts = bpf_map_lookup_elem(&pending_facts, &key);

	if (!facts)
		return false;
	settle_request(facts, task);
	return is_answered(&facts->request, task);
}

/* A thread exits with code 0: whether its process does, too, and has pending facts. Most have none, which costs one look at an array. */
static __always_inline bool may_stop_gracefully(struct task_struct *task, struct task_struct *leader,
						struct signal_struct *signal)
{
	__u32 *count = pending_count_of(READ(task, tgid));

	if (!count || !(*count & PENDING_COUNT))
		return false;
	if (!(READ(signal, flags) & SIGNAL_GROUP_EXIT) && READ(signal, live.counter))
		return false;
	return stops_gracefully(task, leader);
}
