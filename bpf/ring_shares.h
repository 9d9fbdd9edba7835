/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shares of the ring: how much of it an origin may fill with records that are not acknowledged (docs/decisions/0064).
 *
 * A group, the origins of one cgroup and one class of users, may hold GROUP_FACTOR times the bytes that are free, and each of its
 * origins as much as the group has left. So a flood that is alone takes three quarters of the ring, and of several each gets as much
 * as the others. An eighth (RESERVED_PART) is left for origins that hold little: of it, each group may hold as much as is free. So
 * however many floods and users there are, a termination of another group finds room.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "load.h"
#include "kernel.h"
#include "kernel_cgroups.h"
#include "maps.h"
#include "origin.h"
#include "origin_maps.h"
#include "paths.h"
#include "scratch.h"

#define GROUP_FACTOR 16
#define RESERVED_PART 8 /* of the ring, for origins that hold less than its LITTLE_PART */
#define LITTLE_PART 256
#define EIGHTHS 8 /* the whole of a share */
#define FREE_FOR_ALL 16 /* while less than this part of the ring is used, there are no shares */
#define ACCOUNTS_MAX 65536 /* login.defs(5), systemd: users beyond are subordinate ids, and those of containers */

/* Users who share a group. A user with many ids (subuid(5)) takes nothing from accounts, and accounts nothing from root. */
enum user_class {
	USERS_ROOT,
	USERS_ACCOUNTS,
	USERS_OTHERS,
};

static const struct ring_share no_share;
static const struct origin_share no_origin_share;

volatile const __u64 ring_bytes = 8 << 20; /* set by the loader */

/* reserve: what the group has of the reserve, instead of what it has in the ring. */
static __always_inline struct origin group_of(const struct origin *origin, bool reserve)
{
	struct origin group = {.cgroup = origin->cgroup, .reserved = reserve};

	group.uid = !origin->uid ? USERS_ROOT : origin->uid < ACCOUNTS_MAX ? USERS_ACCOUNTS : USERS_OTHERS;
	return group;
}

static __always_inline struct ring_share *share_of_group(const struct origin *origin, bool reserve)
{
	struct origin group = group_of(origin, reserve);
	struct ring_share *share = bpf_map_lookup_elem(&group_shares, &group);

	if (share)
		return share;
	bpf_map_update_elem(&group_shares, &group, &no_share, BPF_NOEXIST);
	return bpf_map_lookup_elem(&group_shares, &group);
}

static __always_inline struct origin_share *share_of_origin(const struct origin *origin)
{
	struct origin_share *share = bpf_map_lookup_elem(&origin_shares, origin);

	if (share)
		return share;
	bpf_map_update_elem(&origin_shares, origin, &no_origin_share, BPF_NOEXIST);
	return bpf_map_lookup_elem(&origin_shares, origin);
}

/* The segment of a position in the ring: its number since the ring was made. */
static __always_inline __u64 segment_at(__u64 position)
{
	return position / (ring_bytes / SHARE_SEGMENTS);
}

/*
 * The bytes of a share that were written from a segment on: those of the segment in which the acknowledged position lies count in
 * full. A mask instead of a branch: 16 branches would be 65,536 paths for the verifier.
 */
static __always_inline __u64 bytes_since(const struct ring_share *share, __u64 segment)
{
	__u64 bytes = 0;

	UNROLL
	for (int i = 0; i < SHARE_SEGMENTS; i++) {
		__u64 written = share->segments[i];
		__u64 mask = (((written >> 32) - segment) >> 63) - 1;

		barrier_var(mask);
		bytes += written & mask & 0xffffffff;
	}
	return bytes;
}

/* Adds a record. Two CPUs may enter a new segment at once, and lose the bytes of one record. */
static __always_inline void add_to_share(struct ring_share *share, __u64 segment, __u64 bytes)
{
	__u64 *written = &share->segments[segment & (SHARE_SEGMENTS - 1)];

	if (*written >> 32 == (__u32)segment)
		__sync_fetch_and_add(written, bytes);
	else
		*written = segment << 32 | bytes;
}

static __always_inline __u64 ring_used(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
}

/* Whether the origin of the scratch record may write into what is reserved for those that hold little. */
static __always_inline bool fits_into_reserve(struct record *record, __u64 held, __u64 free, __u64 segment)
{
	struct ring_share *reserve;

	if (held >= ring_bytes / LITTLE_PART)
		return false;
	reserve = share_of_group(&record->event.origin, true);
	return reserve && bytes_since(reserve, segment) < free;
}

/* How much of its share the origin of the scratch record has used: EIGHTHS and more: all. */
__u64 used_eighths_of_share(__u32 user)
{
	struct record *record = scratch(user);
	__u64 used = ring_used(), free, segment, held, held_by_group, limit = 0;
	struct origin_share *own;
	struct ring_share *group;

	if (!record)
		return 0;
	record->from_reserve = false;
	if (used < ring_bytes / FREE_FOR_ALL)
		return 0;
	segment = segment_at(bpf_ringbuf_query(&events, BPF_RB_CONS_POS));
	group = share_of_group(&record->event.origin, false);
	own = share_of_origin(&record->event.origin);
	if (!group || !own) /* never: both are LRUs */
		return 0;
	held = bytes_since(&own->share, segment);
	held_by_group = bytes_since(group, segment);
	free = used < ring_bytes ? ring_bytes - used : 0;
	if (free > ring_bytes / RESERVED_PART)
		limit = (free - ring_bytes / RESERVED_PART) * GROUP_FACTOR;
	if (limit > held_by_group && limit - held_by_group > held) {
		limit -= held_by_group;
		return held * EIGHTHS / (limit < ring_bytes ? limit : ring_bytes);
	}
	if (!fits_into_reserve(record, held, free, segment))
		return EIGHTHS;
	record->from_reserve = true;
	return 0;
}

/* Counts a record to the origin in it. Returns 0: global functions return numbers. */
__u64 charge_share(__u32 user, __u64 bytes)
{
	struct record *record = scratch(user);
	struct origin_share *own;
	struct ring_share *group, *reserve;
	__u64 segment;

	if (!record || ring_used() < ring_bytes / FREE_FOR_ALL)
		return 0;
	segment = segment_at(bpf_ringbuf_query(&events, BPF_RB_PROD_POS));
	group = share_of_group(&record->event.origin, false);
	reserve = record->from_reserve ? share_of_group(&record->event.origin, true) : NULL;
	own = share_of_origin(&record->event.origin);
	if (group)
		add_to_share(group, segment, bytes);
	if (reserve)
		add_to_share(reserve, segment, bytes);
	if (own)
		add_to_share(&own->share, segment, bytes);
	return 0;
}

/* Counts a termination that has no room to the origin in its record. The first one reads the name of the unit, for people. */
__u64 count_lost_of_origin(__u32 user)
{
	struct record *record = scratch(user);
	struct origin_cgroup *cgroup;
	struct origin_share *own;
	struct kernfs_node *unit;

	if (!record)
		return 0;
	own = share_of_origin(&record->event.origin);
	if (!own)
		return 0;
	cgroup = own->lost ? NULL : origin_cgroup_of(user, (void *)bpf_get_current_task());
	if (cgroup) {
		unit = (void *)cgroup->origin_node;
		bpf_probe_read_kernel_str(own->unit, sizeof(own->unit), READ(unit, name));
	}
	__sync_fetch_and_add(&own->lost, 1);
	return 0;
}
