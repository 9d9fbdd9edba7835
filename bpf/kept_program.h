/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Executable and arguments of current where its mm is gone and no snapshot of it was kept (before 6.16: where fentry does not work, or its
 * program was skipped): those that it executed, from `programs`. A process that forked and never executed has none.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "executable.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "mm_snapshot.h"
#include "program_list.h"
#include "program_maps.h"
#include "scratch.h"
#include "task.h"
#include "task_fields.h"

/*
 * Ends the part into which a text of the program was copied. Nothing is appended if another thread, which exits at the same time, has deleted the
 * entry meanwhile: it may be another process's already.
 */
static __always_inline __u64 end_program_part(struct record *record, __u64 at, enum part_kind kind, const struct program *program,
					      __u64 bytes, bool is_cut)
{
	barrier();
	if (program->key.pid != record->event.key.pid)
		return at;
	return end_part(record, at, kind, is_cut ? bytes | TRUNCATED : bytes);
}

/* Only where the path is surely what it seems: the flags of executable.h are not kept. */
__u64 append_program_exe(__u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(SCRATCH_REPORT);
	char *out = part_at(record, at);
	struct fs_struct *fs = READ(task, fs);
	struct program *program;
	__u64 bytes;

	if (!out || !fs || in_user_namespace(task) || is_chroot(&fs->root))
		return at;
	program = program_of(READ(task, group_leader));
	if (!program || !(program->flags & PROGRAM_EXE_IN_ROOT))
		return at;
	bytes = program->exe_bytes;
	if (!bytes || bytes > PROGRAM_EXE_BYTES)
		return at;
	bpf_probe_read_kernel(out, PROGRAM_EXE_BYTES, program->exe);
	return end_program_part(record, at, PART_EXE, program, bytes, program->flags & PROGRAM_EXE_CUT);
}

__u64 append_program_args(__u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(SCRATCH_REPORT);
	char *out = part_at(record, at);
	struct program *program;
	__u64 bytes;

	if (!out)
		return at;
	program = program_of(READ(task, group_leader));
	if (!program)
		return at;
	bytes = program->args_bytes;
	if (!bytes || bytes > PROGRAM_ARGS_BYTES)
		return at;
	bpf_probe_read_kernel(out, PROGRAM_ARGS_BYTES, program->args);
	return end_program_part(record, at, PART_ARGS, program, bytes, program->flags & PROGRAM_ARGS_CUT);
}

/* The executable of current, which has no mm. */
static __always_inline __u64 append_kept_exe(__u64 at)
{
	__u64 end = append_snapshot_exe(at);

	return end > at ? end : append_program_exe(at);
}

/* The rest that is known of it. */
static __always_inline __u64 append_kept_rest(__u64 at)
{
	__u64 end = append_snapshot_rest(at);

	return end > at ? end : append_program_args(at);
}
