/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of terminations that are only counted (repeats.h). The loader alone adds and deletes keys; the probes add to the
 * totals. No element of the hash changes while it is in it, since a probe may still read it: what changes is in the array, whose
 * elements stay.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "repeat_key.h"

#define REPEATS_MAX 2048 /* with the first, which is no key's */
#define RESERVES_MAX 512 /* origins with armed keys */

struct repeat_place {
	__u32 total;   /* in repeat_totals */
	__u32 reserve; /* of its origin, in repeat_reserves */
};

struct repeat_total {
	__u64 until_ns; /* CLOCK_BOOTTIME, written by the loader: armed until then */
	__u64 count;    /* since it was armed first; it only grows */
	__u64 first_ns; /* CLOCK_BOOTTIME of the first and the last of them */
	__u64 last_ns;
	__u64 id;      /* of this entry, written by the loader: no other has it */
	__u32 outcome; /* enum repeat_outcome, written by the loader */
	__u32 zero;
	__u64 marked_ns; /* when one of them was marked for restarts */
	__u64 unused;
};
_Static_assert(sizeof(struct repeat_total) == 64, "pinned, mapped by the loader, and a cache line each");

/* Records of terminations that others caused, by which their origin may still exceed its armed keys. */
struct repeat_reserve {
	__u64 since_ns;
	__u64 used;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, REPEATS_MAX);
	__type(key, struct repeat_key);
	__type(value, struct repeat_place);
} repeats SEC(".maps");

/* The first is that of all keys: their last until_ns, and what was counted under any key since the probes were first attached. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, REPEATS_MAX);
	__type(key, __u32);
	__type(value, struct repeat_total);
} repeat_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RESERVES_MAX);
	__type(key, __u32);
	__type(value, struct repeat_reserve);
} repeat_reserves SEC(".maps");

#define IMAGE_SLOTS 64 /* a power of two */

/* The claims of a program whose children terminate without executing another: their environment is the same. */
struct image {
	struct process_key parent;
	__u64 exec_id;
	__u64 env_start;
	__u64 claims;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, IMAGE_SLOTS);
	__type(key, __u32);
	__type(value, struct image);
} images SEC(".maps");
