/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Facts about signals, kept under the identity of the victim until its exit. signal_facts.h says why.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "event.h"
#include "kernel.h"
#include "old_maps.h"
#include "old_task.h"
#include "signal_rules.h"
#include "signals.h"

static __always_inline struct signal_fact *signal_of(struct old_fact *fact)
{
	return (struct signal_fact *)fact->bytes;
}

static __always_inline __u32 *count_of(__u32 pid)
{
	__u32 slot = pid & (OLD_COUNTS - 1);

	return bpf_map_lookup_elem(&old_counts, &slot);
}

static __always_inline struct old_fact *fact_of(struct old_key *key, enum old_kind kind)
{
	key->kind = kind;
	return bpf_map_lookup_elem(&old_facts, key);
}

static __always_inline void drop_fact(struct old_key *key, enum old_kind kind, __u32 *count)
{
	key->kind = kind;
	if (!bpf_map_delete_elem(&old_facts, key) && count)
		__sync_fetch_and_add(count, -1);
}

/* Deletes what is kept of the process. */
static __always_inline void drop_facts(struct old_key *key, __u32 *count)
{
	UNROLL
	for (int kind = OLD_SIGNAL; kind <= OLD_HANDLED_FAULT; kind++)
		drop_fact(key, kind, count);
}

/*
 * Adds or replaces a fact. The last exit lowers `live`, then deletes what is kept; this adds, then reads `live`: whichever comes first, one of
 * the two deletes it.
 */
static __always_inline void keep(struct old_key *key, enum old_kind kind, struct old_fact *fact, struct task_struct *leader)
{
	__u32 *count = count_of(key->pid);

	key->kind = kind;
	if (!count)
		return;
	__sync_fetch_and_add(count, 1);
	if (!bpf_map_update_elem(&old_facts, key, fact, BPF_NOEXIST)) {
		if (!READ(leader, signal, live.counter))
			drop_fact(key, kind, count);
		return;
	}
	__sync_fetch_and_add(count, -1);
	if (bpf_map_update_elem(&old_facts, key, fact, BPF_EXIST))
		count_memory_full();
}

/* As in signal_facts.h. */
static __always_inline bool is_recent(const struct signal_fact *request)
{
	return is_handled(request) && now() - request->time_ns <= grace_ns(request);
}

/* As in graceful_stop.h. */
static __always_inline bool is_answered(const struct signal_fact *request, struct task_struct *task)
{
	return is_recent(request) && is_of_another(request, task);
}

/* Keeps a blocked termination request as the request, before another signal overwrites it. room: for a copy, as stacks are small. */
static __always_inline void keep_blocked_request(struct old_key *key, struct old_fact *blocked, struct task_struct *victim,
						 struct task_struct *leader, struct old_fact *room)
{
	struct signal_fact *signal = signal_of(blocked);
	struct old_fact *request;

	if (!HAS(REQUESTS, signal->signo) || signal->committed)
		return;
	request = fact_of(key, OLD_REQUEST);
	if (request && signal_of(request)->signo && signal->sender.pid == key->pid)
		return;
	mark_dequeued(signal, victim);
	if (request) {
		bpf_probe_read(request, sizeof(*request), blocked);
		return;
	}
	bpf_probe_read(room, sizeof(*room), blocked);
	keep(key, OLD_REQUEST, room, leader);
	__builtin_memset(room, 0, sizeof(*room));
}
