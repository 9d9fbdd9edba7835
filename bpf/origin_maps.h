/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of origins (origin.h) and of their shares of the ring (ring_shares.h).
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"

#define ORIGIN_CGROUPS 256 /* a power of two */
#define ORIGIN_SHARES_MAX 4096
#define GROUP_SHARES_MAX 1024
#define SHARE_SEGMENTS 16 /* a power of two */
#define UNIT_BYTES 80   /* enough for a container's scope with its id */
_Static_assert(!(ORIGIN_CGROUPS & (ORIGIN_CGROUPS - 1)), "slots are chosen by a mask");

/* The origin of a cgroup, remembered: its search reads the name of each directory on the path (origin.h). */
struct origin_cgroup {
	__u64 node; /* the address of its kernfs_node: ids are unique in one hierarchy only */
	__u64 id;
	__u64 origin;
	__u64 origin_node; /* 0: not known */
};

/* Indexed by the low bits of the cgroup's id. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ORIGIN_CGROUPS);
	__type(key, __u32);
	__type(value, struct origin_cgroup);
} origin_cgroups SEC(".maps");

/*
 * What an origin, or a group of them, has written into the ring, by segments: sixteenths of it. In each, the number of the segment
 * since the ring was made (upper half) and the bytes (lower half). The ring is read in order, so a segment before the acknowledged
 * position is free again: nothing is ever subtracted, and the next one of that number modulo 16 takes its place.
 */
struct ring_share {
	__u64 segments[SHARE_SEGMENTS];
	/* Of terminated_programs, not of the ring: a minute since boot, and the terminations that were kept in it. */
	__u64 kept_minute;
	__u64 kept;
};

struct origin_share {
	struct ring_share share;
	/* A second since boot, and the number of restarts reported in it. Two CPUs may miscount: it is a limit, not a sum. */
	__u64 restarts_second;
	__u64 restarts;
	__u64 requests_second; /* the same of requests */
	__u64 requests;
	__u64 lost; /* terminations for which the ring had no room */
	char unit[UNIT_BYTES]; /* the name of the origin's cgroup, cut; empty: nothing is lost, or it is not known */
};
_Static_assert(sizeof(struct ring_share) == 144 && sizeof(struct origin_share) == 184 + UNIT_BYTES, "pinned");

/*
 * LRUs: an origin that was displaced counts as one that holds nothing. Only root makes cgroups that are origins; many users in one of
 * them displace others only here, not in group_shares, which limits them all.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ORIGIN_SHARES_MAX);
	__type(key, struct origin);
	__type(value, struct origin_share);
} origin_shares SEC(".maps");

/* The uid of a group is an enum user_class. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GROUP_SHARES_MAX);
	__type(key, struct origin);
	__type(value, struct ring_share);
} group_shares SEC(".maps");
