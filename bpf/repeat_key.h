/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The key of equal terminations, as the record hands it to the loader (PART_REPEAT_KEY).
 */
#pragma once

#include <linux/types.h>

#include "event.h"

enum repeat_flag {
	REPEAT_NO_MM = 1,      /* the executable is not known: comm instead */
	REPEAT_OOM = 2,        /* signal->oom_mm was set */
	REPEAT_FAULT = 4,      /* a fault was delivered to it */
	REPEAT_BY_ANOTHER = 8, /* another process or the kernel sent it the signal of its status, or a termination request */
	REPEAT_LONG_LIVED = 16, /* it lived longer than REPEAT_LONG_LIVED_NS */
	REPEAT_USER_NAMESPACE = 32, /* not the initial one */
};

/* Not all of the environment could be read: terminations with the same key may have other claims. */
enum claims_value {
	CLAIMS_UNKNOWN = 1,
};

#define REPEAT_LONG_LIVED_NS 10000000000ull

/*
 * What equal terminations have in common (repeats.h). All of it is the kernel's facts, but for claims: a process's names for its
 * service only keep it apart from others, so that none is counted under another's name.
 */
struct repeat_key {
	struct origin origin;
	__u64 cgroup; /* its own: the origin's is an outer one */
	__u64 executable_inode;
	__u64 sender_inode; /* of the sender's executable; 0: none, the process itself, or not known */
	__u64 claims; /* hash of the OTEL_ variables and of the published context; 0: there are none; or enum claims_value */
	__u32 executable_device;
	__u32 sender_device;
	__u32 uid;        /* effective */
	__u32 status_raw; /* as in struct event */
	__u32 flags;      /* enum repeat_flag */
	__s32 code;       /* si_code of that signal or request */
	char comm[COMM_BYTES]; /* with REPEAT_NO_MM, of the leader; else 0 */
};
_Static_assert(sizeof(struct repeat_key) == 88, "no implicit padding: it is a map key");

/* What becomes of counted terminations. */
enum repeat_outcome {
	REPEAT_AGGREGATED = 1,
	REPEAT_FILTERED,
};
