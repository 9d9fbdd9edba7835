/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is kept of stops (stops.h).
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "maps.h"

/* The last stop of a process by a signal (stops.h). */
struct stop {
	__u64 since_ns; /* CLOCK_BOOTTIME: the signal was delivered with the default action; 0: it was not, or that was not seen */
	__u64 continued_ns; /* SIGCONT was sent; 0: it was not */
	__u8 repeated; /* the stop before was by the same signal: jobctl does not show whether this one took effect */
	__u8 effective; /* set at the exit: it stopped the process */
	__u8 zero[6];
	char signal[SIGNAL_HEAD_BYTES]; /* struct signal_fact without its stack */
};
_Static_assert(sizeof(struct stop) == 24 + SIGNAL_HEAD_BYTES, "pinned: no implicit padding");

/*
 * The last stops of processes that have an entry in pending_facts, which is why as many fit: their share is that of their origin. The entry
 * says whether there is one.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PENDING_FACTS_MAX);
	__type(key, struct process_key);
	__type(value, struct stop);
} stops SEC(".maps");
