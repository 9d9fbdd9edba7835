/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ring: which parts are left out when a share of it runs low, the head of a record, and submitting a record.
 */
#pragma once

#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "origin.h"
#include "scratch.h"
#include "ring_shares.h"
#include "task.h"

#define RING_HEADER_BYTES 8 /* BPF_RINGBUF_HDR_SZ */

/*
 * Records shrink step by step when the share of their origin runs low, before any is lost: from this many used eighths on, they are
 * written without the parts that are named. In the last quarter a record has about 300 bytes.
 */
#define PROGRAMS_EIGHTHS_MAX 1  /* what the ancestors of victim and sender executed: more than half of many records */
#define STACK_EIGHTHS_MAX 4     /* the kernel stack */
#define DETAILS_EIGHTHS_MAX 5   /* arguments, environment, build ids, pipes, and the description of the sender */
#define ANCESTORS_EIGHTHS_MAX 6 /* the ancestors */

#define CLOCK_VALID_NS 10000000000ull /* the loader publishes every 5 s at least */

/* CLOCK_REALTIME - CLOCK_BOOTTIME now; 0: not known, as no loader publishes it. */
static __always_inline __s64 clock_offset_at(__u64 now_ns)
{
	__u32 zero = 0;
	struct clock *clock = bpf_map_lookup_elem(&wall_clock, &zero);

	return clock && now_ns - clock->published_ns < CLOCK_VALID_NS ? clock->offset_ns : 0;
}

/* Fills in the process of a record. user: enum scratch_user, that of the record. */
static __always_inline void fill_identity(__u32 user, struct event *event, struct task_struct *task, struct task_struct *leader,
					  struct signal_struct *signal)
{
	event->abi = EVENT_ABI;
	event->key = key_of(leader);
	event->vpid = vpid_of(signal);
	event->parent_pid = READ(leader, real_parent, tgid);
	event->tid = READ(task, pid);
	event->uid = READ(task, cred, euid.val);
	event->gid = READ(task, cred, egid.val);
	bpf_core_read(&event->comm, sizeof(event->comm), &leader->comm);
	bpf_core_read(&event->thread_comm, sizeof(event->thread_comm), &task->comm);
	event->origin = origin_of(user, task);
}

/*
 * Hands the record over, and wakes the reader if it sleeps. Returns an error if the ring is full.
 *
 * The consumer position lags on purpose, so the ring's own rule would never notify (bpf_ringbuf_commit() requires cons_pos ==
 * rec_pos), and a forced wake-up is an interrupt that costs more than the rest of the record. So the reader sets reader_waits
 * before it sleeps, and the probe that clears it wakes the reader (docs/decisions/0003).
 *
 * The reader may fall asleep between the first look at the flag and the commit. The commit is an xchg(), a full barrier, so the
 * second look comes after it; the reader sets the flag before it looks for records a last time. If even the empty record finds no
 * room, the reader's own timeout ends its sleep.
 */
static __always_inline long submit_record(__u32 user, struct record *record, __u64 bytes)
{
	__u32 zero = 0;
	struct shared *shared = bpf_map_lookup_elem(&shared_map, &zero);
	volatile __u32 *waits = shared ? &shared->reader_waits : NULL;
	__u64 wakeup = BPF_RB_NO_WAKEUP;
	void *empty;
	long error;

	if (waits && *waits) {
		*waits = 0;
		wakeup = BPF_RB_FORCE_WAKEUP;
	}
	error = bpf_ringbuf_output(&events, &record->event, bytes, wakeup);
	if (waits && wakeup == BPF_RB_FORCE_WAKEUP && error)
		*waits = 1;
	if (waits && wakeup == BPF_RB_NO_WAKEUP && *waits) {
		*waits = 0;
		empty = bpf_ringbuf_reserve(&events, 8, 0);
		if (empty)
			bpf_ringbuf_discard(empty, BPF_RB_FORCE_WAKEUP);
	}
	if (!error)
		charge_share(user, bytes + RING_HEADER_BYTES);
	return error;
}
