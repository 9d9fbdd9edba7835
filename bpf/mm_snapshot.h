/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Snapshots of the mm, for kernels before 6.16, where sched_process_exit fires after exit_mm() (docs/decisions/0013).
 */
#pragma once

#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "build_id.h"
#include "environment.h"
#include "event.h"
#include "maps.h"
#include "scratch.h"
#include "task_parts.h"
#include "thread_context.h"

static __always_inline struct mm_snapshot *snapshot_of(const struct record *record)
{
	return record ? bpf_map_lookup_elem(&mm_snapshots, &record->event.key) : NULL;
}

/* Appends bytes of a snapshot: whole parts, with their heads. Returns where the next part begins; `at`: nothing was appended. */
static __always_inline __u64 append_parts(struct record *record, __u64 at, const char *from, __u64 bytes)
{
	if (at > PARTS_BYTES_MAX || bytes > MM_SNAPSHOT_BYTES_MAX)
		return at;
	barrier_var(at);
	if (bpf_probe_read_kernel(record->parts + at, bytes, from))
		return at;
	return at + bytes;
}

__u64 append_snapshot_exe(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct mm_snapshot *snapshot = snapshot_of(record);

	return snapshot ? append_parts(record, at, snapshot->parts, snapshot->exe_bytes) : at;
}

__u64 append_snapshot_rest(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct mm_snapshot *snapshot = snapshot_of(record);

	if (!snapshot || snapshot->exe_bytes > PART_BYTES_MAX)
		return at;
	return append_parts(record, at, snapshot->parts + snapshot->exe_bytes, snapshot->bytes - snapshot->exe_bytes);
}

/*
 * Keeps a snapshot of current's mm until its exit is reported. It is built in the scratch record, with its head over the last
 * bytes of the event, which is unused here: it must be complete when it enters the map, as another thread may keep one, too.
 */
static __always_inline void keep_mm_snapshot(const struct process_key *key)
{
	struct record *record = scratch(SCRATCH_SNAPSHOT);
	struct mm_snapshot *snapshot;
	__u64 exe_bytes, bytes;

	if (!record)
		return;
	exe_bytes = append_build_id(SCRATCH_SNAPSHOT, append_exe(SCRATCH_SNAPSHOT, 0));
	bytes = append_published(SCRATCH_SNAPSHOT, exe_bytes);
	bytes = append_args(SCRATCH_SNAPSHOT, append_env(SCRATCH_SNAPSHOT, bytes));
	snapshot = (void *)record->parts - offsetof(struct mm_snapshot, parts);
	snapshot->exe_bytes = exe_bytes;
	snapshot->bytes = bytes;
	bpf_map_update_elem(&mm_snapshots, key, snapshot, BPF_ANY);
}
