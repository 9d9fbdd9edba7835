/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The build ids of executables whose processes terminated before (docs/decisions/0104). To read them costs a copy of a page, and in a
 * child that did not execute a program often a page fault. They come from a process's own memory, which it may have changed: so they
 * are kept for the same origin alone, and no user sets those of another.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "build_id.h"
#include "event.h"
#include "executable.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "scratch.h"
#include "task.h"

#define KNOWN_EXECUTABLES 64 /* a power of two */
#define BUILD_ID_PARTS_BYTES 192
#define NO_BUILD_ID_NS 1000000000ull /* so long, the children of a program are not searched again */
_Static_assert(!(KNOWN_EXECUTABLES & (KNOWN_EXECUTABLES - 1)), "slots are chosen by a mask");
_Static_assert(2 * sizeof(struct part) + 7 + BUILD_ID_BYTES_MAX + 7 + GO_BUILD_ID_BYTES_MAX <= BUILD_ID_PARTS_BYTES,
	       "both parts fit");

/* A file as it was executed: nothing can write to it meanwhile (deny_write_access()), and a later write changes its ctime. */
struct executed_file {
	struct origin origin;
	__u64 inode;
	__u64 size;
	__s64 changed_s;
	__u64 changed_ns;
	__u32 generation;
	__u32 device;
};

struct known_build_ids {
	struct executed_file file;
	__u64 none_until_ns; /* no process of it had any, until this time: CLOCK_BOOTTIME */
	__u64 bytes; /* of the parts */
	char parts[BUILD_ID_PARTS_BYTES];
};

/* Indexed by the low bits of the inode's number. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KNOWN_EXECUTABLES);
	__type(key, __u32);
	__type(value, struct known_build_ids);
} build_ids SEC(".maps");

static __always_inline void identify_file(struct executed_file *out, const struct origin *origin, struct inode *inode)
{
	out->origin = *origin;
	out->inode = READ(inode, i_ino);
	out->size = READ(inode, i_size);
	out->changed_s = ctime_of(inode);
	out->changed_ns = ctime_nanoseconds_of(inode);
	out->generation = READ(inode, i_generation);
	out->device = READ(inode, i_sb, s_dev);
}

static __always_inline bool is_same_file(const struct executed_file *a, const struct executed_file *b)
{
	return a->inode == b->inode && a->origin.cgroup == b->origin.cgroup && a->origin.uid == b->origin.uid &&
	       a->size == b->size && a->changed_s == b->changed_s && a->changed_ns == b->changed_ns &&
	       a->generation == b->generation && a->device == b->device;
}

/* Keeps the parts between `at` and `end` of the scratch record for the next process of the file. */
static __always_inline void keep_build_ids(struct known_build_ids *known, const struct record *record, __u64 at, __u64 end)
{
	__u64 bytes = end - at;

	known->bytes = 0;
	known->none_until_ns = record->event.time_ns + NO_BUILD_ID_NS;
	if (!bytes || bytes > BUILD_ID_PARTS_BYTES || at > PARTS_BYTES_MAX)
		return;
	barrier_var(at);
	if (!bpf_probe_read_kernel(known->parts, BUILD_ID_PARTS_BYTES, record->parts + at))
		known->bytes = bytes;
}

/* Appends the build ids of current's executable to the record of its termination, whose origin and time are known. */
__u64 append_known_build_ids(__u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct inode *inode = READ(task, mm, exe_file, f_inode);
	struct record *record = scratch(SCRATCH_REPORT);
	__u32 slot = READ(inode, i_ino) & (KNOWN_EXECUTABLES - 1);
	struct known_build_ids *known = bpf_map_lookup_elem(&build_ids, &slot);
	struct executed_file file = {};
	__u64 end;

	if (!record || !known || !inode || at > PARTS_BYTES_MAX)
		return append_build_id(SCRATCH_REPORT, at);
	identify_file(&file, &record->event.origin, inode);
	if (is_same_file(&known->file, &file)) {
		barrier_var(at);
		if (known->bytes && known->bytes <= BUILD_ID_PARTS_BYTES &&
		    !bpf_probe_read_kernel(record->parts + at, BUILD_ID_PARTS_BYTES, known->parts))
			return at + known->bytes;
		if (READ(task, flags) & PF_FORKNOEXEC && record->event.time_ns < known->none_until_ns)
			return at;
	}
	end = append_build_id(SCRATCH_REPORT, at);
	known->file = file;
	keep_build_ids(known, record, at, end);
	return end;
}
