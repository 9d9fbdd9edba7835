/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The descriptions of senders that the probes keep (docs/decisions/0005, 0068), as maps.h has what else they keep.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "description.h"
#include "event.h"
#include "maps.h"

#define SENDERS_MAX 1024
#define SENDER_PARTS_MAX 8192

struct sender_key {
	struct process_key process;
	__u64 exec_id; /* grows with each exec */
	__u32 uid;     /* effective */
	__u32 zero;
};
_Static_assert(sizeof(struct sender_key) == 32, "no implicit padding: it is a map key");

/* The last senders: one that sends many signals is described once. */
struct known_sender {
	struct sender_key key; /* the LRU may give the element to another sender at any time: a reader compares it afterwards */
	struct description description;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SENDERS_MAX);
	__type(key, struct sender_key);
	__type(value, struct known_sender);
} sender_descriptions SEC(".maps");

/*
 * Descriptions of the senders of pending facts, kept with the victim until its end. Each takes as many parts as it needs: most
 * need one. A victim has three slots: two for the signal and the request, the third for its stop.
 */
#define SENDER_PARTS 4
#define SENDER_PART_BYTES (sizeof(struct description) / SENDER_PARTS)
_Static_assert(sizeof(struct description) % SENDER_PARTS == 0 && SENDER_PART_BYTES % 8 == 0, "no rest");

struct sender_part_key {
	__u64 start_boottime_ns; /* of the victim, as in process_key */
	__u32 pid;
	__u16 slot; /* 1 to 3 */
	__u16 part;
};
_Static_assert(sizeof(struct sender_part_key) == 16, "no implicit padding: it is a map key");

struct sender_part {
	char bytes[SENDER_PART_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SENDER_PARTS_MAX);
	__type(key, struct sender_part_key);
	__type(value, struct sender_part);
} sender_parts SEC(".maps");

/*
 * A description under construction. The slack stays unused: a verifier that adds up the lengths of three texts, each rounded up
 * to a power of two, does not see that they fit.
 */
struct description_scratch {
	/* What keep_description() is to do. */
	struct sender_key sender;
	struct sender_part_key slot; /* of the victim */
	__u32 share;                 /* of the victim's origin */
	__u32 kind;                  /* enum fact_kind */
	__u64 held;                  /* parts in the slot */
	struct known_sender known;
	char slack[4096];
	__u64 directories[CGROUP_DIRECTORIES]; /* as in struct record */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct description_scratch);
} sender_scratch SEC(".maps");
