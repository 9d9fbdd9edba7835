/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Entries of pending_facts and oom_victims: adding, and deleting what belongs to a process.
 *
 * Room is shared by origins (docs/decisions/0067): an entry is added only while its origin holds less than what is free, below a
 * limit that depends on the kind of the fact. So one origin never takes more than half, and the less valuable kinds give way first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "origin.h"
#include "scratch.h"
#include "sender_maps.h"
#include "stop_maps.h"
#include "task.h"

/* The limits of the kinds of facts, in eighths of the room. What is beyond is in reserve for the kinds after it. */
enum fact_kind {
	FACT_SELF = 5,    /* a request that the process sent itself, or a fault that it handled */
	FACT_REQUEST = 7, /* from another process, or from the kernel */
	FACT_COMMITS = 8, /* it terminates the process: faults, kills */
};

/* The slot that no pid outside of it shares. NULL: an older ABI pinned an array that has none for this pid. */
static __always_inline __u32 *own_slot_of(__u32 pid)
{
	__u32 slot = pid / PIDS_PER_SLOT;

	return bpf_map_lookup_elem(&pending_counts, &slot);
}

static __always_inline __u32 *pending_count_of(__u32 pid)
{
	__u32 slot = pid / PIDS_PER_SLOT & (FORMER_PENDING_SLOTS - 1), *own = own_slot_of(pid);

	return own ? own : bpf_map_lookup_elem(&pending_counts, &slot);
}

/* The bit of a pid in its slot of pending_counts. */
static __always_inline __u32 program_bit(__u32 pid)
{
	return 1u << (PROGRAM_BITS + pid % PIDS_PER_SLOT);
}

/* What a slot of pending_counts says of a process: the count, OVERLAP, and PROGRAM_RUNS. */
static __always_inline __u32 pending_of(__u32 slot, __u32 pid)
{
	return (slot & (OVERLAP | PENDING_COUNT)) | (slot >> (PROGRAM_BITS + pid % PIDS_PER_SLOT) & 1) * PROGRAM_RUNS;
}

/* Whether a process of this slot may have an entry in pending_facts. */
static __always_inline bool may_have_facts(const __u32 *slot)
{
	return slot && *slot & (OVERLAP | PENDING_COUNT);
}

static __always_inline void count_memory_full(void)
{
	__u32 zero = 0;
	struct counters *counters = bpf_map_lookup_elem(&counters_map, &zero);

	if (counters)
		__sync_fetch_and_add(&counters->lost_memory_full, 1); /* an interrupt on this CPU may count, too */
}

static __always_inline struct share *share_at(__u32 index)
{
	return bpf_map_lookup_elem(&shares, &index);
}

/* Never 0. An unprivileged user cannot choose an origin, and so not the others that share its entry. */
static __always_inline __u32 share_of(const struct origin *origin)
{
	__u64 hash = (origin->cgroup ^ (__u64)origin->uid << 32) * 0x9e3779b97f4a7c15ull;

	return (hash >> 32) % (SHARES - 1) + 1;
}

/* Whether an origin that holds `held` may have more, while `all` of `max` are held. */
static __always_inline bool has_room(__s64 held, __s64 all, __s64 max, enum fact_kind kind)
{
	return held < max / 8 * kind - all;
}

static __always_inline void count_refused(struct share *share, __u32 uid)
{
	share->uid = uid;
	share->refused_ns = bpf_ktime_get_boot_ns();
	__sync_fetch_and_add(&share->refused, 1);
	count_memory_full();
}

/* Deletes the parts [from, to) of the slot of a key. */
static __always_inline void delete_sender_parts(struct sender_part_key *key, __u32 from, __u32 to)
{
	UNROLL
	for (__u32 i = 0; i < SENDER_PARTS; i++) {
		key->part = i;
		if (i >= from && i < to)
			bpf_map_delete_elem(&sender_parts, key);
	}
}

#define STOP_KEPT 0x80 /* of struct holding */

/* The parts in a slot of sender_parts. */
static __always_inline __u32 parts_held(const struct holding *holds, __u32 slot)
{
	return slot == 3 ? holds->stop & ~STOP_KEPT : slot == 2 ? holds->sender_parts >> 4 : holds->sender_parts & 15;
}

static __always_inline void set_parts_held(struct holding *holds, __u32 slot, __u32 parts)
{
	if (slot == 3)
		holds->stop = (holds->stop & STOP_KEPT) | parts;
	else if (slot == 2)
		holds->sender_parts = (holds->sender_parts & 15) | parts << 4;
	else
		holds->sender_parts = (holds->sender_parts & ~15) | parts;
}

/* Adds to what an origin holds, and to the sum. */
static __always_inline void count_held(__u32 index, __s32 processes, __s32 sender_parts)
{
	struct share *share = share_at(index), *all = share_at(0);

	if (!index || !share || !all)
		return;
	if (processes) {
		__sync_fetch_and_add(&share->processes, processes);
		__sync_fetch_and_add(&all->processes, processes);
	}
	if (sender_parts) {
		__sync_fetch_and_add(&share->sender_parts, sender_parts);
		__sync_fetch_and_add(&all->sender_parts, sender_parts);
	}
}

/*
 * Deletes all entries of a process. If two programs do that at once, the one that deletes the entry of pending_facts counts. As in
 * task_parts.h, this is a global function. Returns 0.
 */
__u64 drop_facts(__u64 start_boottime_ns, __u32 pid)
{
	struct process_key key = {.start_boottime_ns = start_boottime_ns, .pid = pid};
	struct sender_part_key part = {.start_boottime_ns = start_boottime_ns, .pid = pid, .slot = 1};
	struct pending_facts *facts = bpf_map_lookup_elem(&pending_facts, &key);
	struct holding holds;
	__u32 *count;

	bpf_map_delete_elem(&oom_victims, &key);
	if (!facts)
		return 0;
	holds = facts->holds;
	if (bpf_map_delete_elem(&pending_facts, &key))
		return 0;
	delete_sender_parts(&part, 0, parts_held(&holds, 1));
	part.slot = 2;
	delete_sender_parts(&part, 0, parts_held(&holds, 2));
	if (holds.stop) {
		bpf_map_delete_elem(&stops, &key);
		part.slot = 3;
		delete_sender_parts(&part, 0, parts_held(&holds, 3));
	}
	count_held(holds.share, -1, -(__s32)(parts_held(&holds, 1) + parts_held(&holds, 2) + parts_held(&holds, 3)));
	count = pending_count_of(pid);
	if (count && holds.share) /* an older build counts in another slot */
		__sync_fetch_and_add(count, -1);
	return 0;
}

/* Whether the last thread of the process has begun its exit. */
static __always_inline bool has_exited(struct task_struct *leader)
{
	return !READ(leader, signal, live.counter);
}

/*
 * Adds an entry for the process of record->leader, of record->fresh_origin, if there is room. user: enum scratch_user. Returns whether it did.
 *
 * The last exit lowers `live`, then looks for the entry. This adds the entry, then reads `live`: whichever comes first, one of
 * the two deletes it.
 */
__u64 add_facts(__u32 user, __u32 kind)
{
	struct record *record = scratch(user);
	struct task_struct *leader;
	struct process_key key;
	struct share *share, *all = share_at(0);
	__u32 index, *count;

	if (!record || !all)
		return 0;
	leader = (void *)record->leader;
	key = key_of(leader);
	index = share_of(&record->fresh_origin);
	share = share_at(index);
	count = pending_count_of(key.pid);
	if (!share || !count)
		return 0;
	if (!has_room(share->processes, all->processes, PENDING_FACTS_MAX, kind)) {
		count_refused(share, record->fresh_origin.uid);
		return 0;
	}
	record->fresh.key = key;
	record->fresh.holds.share = index;
	count_held(index, 1, 0);
	__sync_fetch_and_add(count, 1);
	if (bpf_map_update_elem(&pending_facts, &key, &record->fresh, BPF_NOEXIST)) {
		__sync_fetch_and_add(count, -1);
		count_held(index, -1, 0);
		if (!bpf_map_lookup_elem(&pending_facts, &key)) /* no other CPU was faster */
			count_refused(share, record->fresh_origin.uid);
		return 0;
	}
	if (has_exited(leader))
		drop_facts(key.start_boottime_ns, key.pid);
	return 1;
}

/* Returns the entry of a process, or adds one. NULL: there is no room, which is counted. */
static __always_inline struct pending_facts *facts_of(__u32 user, struct task_struct *leader, enum fact_kind kind)
{
	struct process_key key = key_of(leader);
	__u32 *count = pending_count_of(key.pid);
	struct pending_facts *facts = may_have_facts(count) ? bpf_map_lookup_elem(&pending_facts, &key) : NULL;
	struct record *record;

	if (facts)
		return facts;
	record = scratch(user);
	if (!record)
		return NULL;
	/* The origin is found here: before 6.2, the stacks of add_facts() and of what that calls would not fit beside those of the callers. */
	record->leader = (__u64)leader;
	record->fresh_origin = origin_of(user, leader);
	add_facts(user, kind);
	return bpf_map_lookup_elem(&pending_facts, &key);
}

/*
 * Whether the entry still is that of the process. A preallocated element that another CPU deletes, as the process exits, is given to
 * the next process at once: who has written to it compares the key afterwards.
 */
static __always_inline bool is_entry_of(const struct pending_facts *facts, struct task_struct *leader)
{
	struct process_key key = key_of(leader);

	barrier();
	return facts->key.start_boottime_ns == key.start_boottime_ns && facts->key.pid == key.pid;
}

/* Whether facts were refused to the origin since this process started, so that some of its own may be missing. */
static __always_inline bool may_lack_facts(const struct origin *origin, const struct process_key *key)
{
	struct share *share = share_at(share_of(origin));

	return share && share->refused_ns > key->start_boottime_ns;
}
