/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Entries of pending_facts and oom_victims: adding, and deleting what belongs to a process.
 */
#pragma once

#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "maps.h"
#include "task.h"

static const struct pending_facts no_facts;
static const struct oom no_oom;

static __always_inline __u32 *pending_count_of(__u32 pid)
{
	__u32 slot = pid & (PENDING_SLOTS - 1);

	return bpf_map_lookup_elem(&pending_counts, &slot);
}

static __always_inline void count_memory_full(void)
{
	__u32 zero = 0;
	struct counters *counters = bpf_map_lookup_elem(&counters_map, &zero);

	if (counters)
		__sync_fetch_and_add(&counters->lost_memory_full, 1); /* an interrupt on this CPU may count, too */
}

/* Returns the entry of a process, or adds one. NULL: the map is full, which is counted. */
static __always_inline struct pending_facts *facts_of(struct task_struct *leader)
{
	struct process_key key = key_of(leader);
	struct pending_facts *facts = bpf_map_lookup_elem(&pending_facts, &key);
	__u32 *count;

	if (facts)
		return facts;
	if (bpf_map_update_elem(&pending_facts, &key, &no_facts, BPF_NOEXIST) == 0) {
		count = pending_count_of(key.pid);
		if (count)
			__sync_fetch_and_add(count, 1);
	}
	facts = bpf_map_lookup_elem(&pending_facts, &key);
	if (facts) {
		facts->key = key;
		return facts;
	}
	count_memory_full();
	return NULL;
}

/* Deletes all entries of a process. */
static __always_inline void drop_facts(const struct process_key *key)
{
	__u32 *count;

	bpf_map_delete_elem(&oom_victims, key);
	if (bpf_map_delete_elem(&pending_facts, key))
		return;
	count = pending_count_of(key->pid);
	if (count)
		__sync_fetch_and_add(count, -1);
}
