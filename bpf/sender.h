/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Descriptions of senders: executable, cgroup, arguments, ancestors. They are taken when a signal is generated, as a sender may
 * exit before its victim does. One description is kept for all signals of a sender (docs/decisions/0005).
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "paths.h"
#include "task.h"

#define SENDER_VALID_NS 1000000000

/* Describes task, which is current: user memory is read. */
static __always_inline void describe_task(struct description *out, struct task_struct *task, __u64 now_ns)
{
	struct mm_struct *mm = READ(task, mm);
	struct fs_struct *fs = READ(task, fs);
	__u64 exe = 0, cgroup, args = 0;

	if (mm && fs)
		exe = read_path(out->data, &READ(mm, exe_file)->f_path, &fs->root) & ~TRUNCATED;
	if (exe > PATH_BYTES_MAX)
		exe = 0;
	cgroup = read_cgroup_path(out->data + exe, cgroup_of(task)) & ~TRUNCATED;
	if (cgroup > PATH_BYTES_MAX)
		cgroup = 0;
	if (mm)
		args = read_args(out->data + exe + cgroup, mm, SENDER_ARGS_BYTES_MAX);
	out->time_ns = now_ns;
	out->exe_bytes = exe;
	out->cgroup_bytes = cgroup;
	out->args_bytes = args & ~TRUNCATED;
	out->args_truncated = args != out->args_bytes;
	out->ancestors_count = read_ancestors(out->ancestors, task);
}

/* Keeps a description of current, the sender of fact. It is renewed after a second: the sender may change its name or user. */
static __always_inline void keep_sender(const struct signal_fact *fact, struct task_struct *task)
{
	struct sender_key key = {.process = fact->sender, .exec_id = fact->sender_exec_id};
	struct description *known = bpf_map_lookup_elem(&senders, &key);
	struct description_scratch *fresh;
	__u32 zero = 0;

	if (known && fact->time_ns - known->time_ns < SENDER_VALID_NS)
		return;
	fresh = bpf_map_lookup_elem(&sender_scratch, &zero);
	if (!fresh)
		return;
	describe_task(&fresh->description, task, fact->time_ns);
	bpf_map_update_elem(&senders, &key, &fresh->description, BPF_ANY);
}
