/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Parts that describe current: executable, users, cgroup, host name, ancestors, arguments.
 *
 * The steps that append parts are global functions, here and in the other headers: the verifier checks each once, with any
 * arguments, instead of once for each path that leads to it. So they take numbers only, and look up their pointers again. Each
 * appends one part, or some, at `at`, and returns where the next begins; `at` itself: nothing was appended. `user` is an enum
 * scratch_user.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "executable.h"
#include "kernel.h"
#include "load.h"
#include "paths.h"
#include "scratch.h"
#include "task.h"

__u64 append_exe(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct fs_struct *fs = READ(task, fs);
	struct record *record = scratch(user);
	char *out = part_at(record, at);
	__u64 bytes;

	if (!out || !mm || !fs)
		return at;
	bytes = read_path(out, &READ(mm, exe_file)->f_path, &fs->root);
	return end_part_flagged(record, at, PART_EXE, bytes & ~OUTSIDE_ROOT, exe_flags(bytes));
}

__u64 append_credentials(__u32 user, __u64 at)
{
	struct record *record = scratch(user);
	struct credentials *out = (void *)part_at(record, at);

	if (!out)
		return at;
	read_credentials(out, (void *)bpf_get_current_task());
	return end_part(record, at, PART_CREDENTIALS, sizeof(*out));
}

__u64 append_cgroup(__u32 user, __u64 at)
{
	struct record *record = scratch(user);
	char *out = part_at(record, at);

	if (!out)
		return at;
	return end_part(record, at, PART_CGROUP,
			read_cgroup_path(out, cgroup_of((void *)bpf_get_current_task()), record->directories));
}

__u64 append_hostname(__u32 user, __u64 at)
{
	struct record *record = scratch(user);
	char *out = part_at(record, at);
	__u64 bytes;

	if (!out)
		return at;
	bytes = read_hostname(out, (void *)bpf_get_current_task());
	return bytes ? end_part(record, at, PART_HOSTNAME, bytes) : at;
}

__u64 append_ancestors(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(user);
	char *out = part_at(record, at);

	if (!out)
		return at;
	return end_part(record, at, PART_ANCESTORS,
			read_ancestors((struct ancestor *)out, READ(task, group_leader)) * sizeof(struct ancestor));
}

__u64 append_args(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct record *record = scratch(user);
	char *out = part_at(record, at);

	if (!out || !mm)
		return at;
	return end_part(record, at, PART_ARGS, read_args(out, mm, ARGS_BYTES_MAX));
}
