/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The description of a sender, as the record has it (PART_SIGNAL_SENDER, PART_REQUEST_SENDER).
 */
#pragma once

#include <stddef.h>

#include <linux/types.h>

#include "event.h"

/* A sender in full, kept once for all signals that it sends. data holds its texts one after the other: exe, cgroup, args, host name, programs, env. */
struct description {
	__u64 time_ns; /* when it was taken */
	__u32 exe_bytes;
	__u32 cgroup_bytes;
	__u32 args_bytes;
	__u32 args_truncated;
	__u32 ancestors_count;
	struct ancestor ancestors[ANCESTORS_MAX];
	__u32 exe_flags; /* enum part_flag; 0 up to ABI 5 */
	struct credentials credentials; /* missing up to ABI 5, like the rest before data */
	__u64 exe_inode;
	__u32 exe_device;
	__u32 hostname_bytes; /* 0: it is the machine's, or there was no room; in all a multiple of 32 bytes, for sender_parts */
	__u32 programs_bytes; /* those of the ancestors, as PART_PROGRAMS; 0: there was no room */
	__u32 env_bytes; /* as PART_ENV */
	char data[2 * PATH_BYTES_MAX + SENDER_ARGS_BYTES_MAX];
};
_Static_assert(offsetof(struct description, ancestors) == 28 && offsetof(struct description, exe_flags) == 148 &&
		       offsetof(struct description, data) == 192,
	       "the loader reads the fields at their offsets");
_Static_assert(sizeof(struct description) == 192 + 2 * PATH_BYTES_MAX + SENDER_ARGS_BYTES_MAX, "no padding behind the texts");

/*
 * Whether current is described: unless the kernel sent the signal in whatever task ran. What hangs up a terminal is usually the process that
 * closed it.
 */
static inline __attribute__((always_inline)) int is_described(const struct signal_fact *fact)
{
	return fact->code != SI_KERNEL || fact->signo == SIGHUP;
}
