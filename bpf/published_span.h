/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PART_THREAD_CONTEXT, a part of the record (event.h).
 */
#pragma once

#include <linux/types.h>
#include <stddef.h>

/*
 * The active span of a thread, as the thread publishes it: OTEP 4947, "Thread-Local Context Record", without its attributes.
 * It is copied from user memory unchanged, so offsets are the specification's.
 */
struct thread_context {
	__u8 trace_id[16];
	__u8 span_id[8];
	__u8 valid; /* 1 in every record */
	__u8 trace_flags;
};
_Static_assert(sizeof(struct thread_context) == 26, "as OTEP 4947 lays it out");
_Static_assert(offsetof(struct thread_context, span_id) == 16 && offsetof(struct thread_context, valid) == 24,
	       "as OTEP 4947 lays it out");
