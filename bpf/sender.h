/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Descriptions of senders: executable, cgroup, arguments, ancestors. They are taken when a signal is generated, as a sender may
 * exit before its victim does. One description is kept for all signals of a sender (docs/decisions/0005).
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "executable.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "paths.h"
#include "task.h"

#define SENDER_VALID_NS 1000000000

/* Describes task, which is current, all but its users: user memory is read. */
static __always_inline void describe_task(struct description *out, struct task_struct *task, __u64 now_ns)
{
	struct mm_struct *mm = READ(task, mm);
	struct fs_struct *fs = READ(task, fs);
	__u64 exe = 0, cgroup, args = 0;

	out->exe_flags = 0;
	out->exe_inode = out->exe_device = 0;
	if (mm && fs) {
		struct inode *inode = READ(mm, exe_file, f_inode);

		out->exe_inode = READ(inode, i_ino);
		out->exe_device = READ(inode, i_sb, s_dev);
		exe = read_path(out->data, &READ(mm, exe_file)->f_path, &fs->root);
		out->exe_flags = exe_flags(exe) | (exe & TRUNCATED ? PART_FLAG_TRUNCATED : 0);
		exe &= ~(TRUNCATED | OUTSIDE_ROOT);
	}
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

/*
 * Keeps a description of current, the sender of fact. It is renewed after a second, as the sender may change its name, and at once
 * when it changes its users: each effective user has its own.
 */
static __always_inline void keep_sender(const struct signal_fact *fact, struct task_struct *task)
{
	struct sender_key key = {.process = fact->sender, .exec_id = fact->sender_exec_id, .uid = fact->sender_uid};
	struct description *known = bpf_map_lookup_elem(&sender_descriptions, &key);
	struct description_scratch *fresh;
	struct credentials users;
	__u32 zero = 0;

	read_credentials(&users, task);
	if (known && fact->time_ns - known->time_ns < SENDER_VALID_NS && known->credentials.real_uid == users.real_uid &&
	    known->credentials.login_uid == users.login_uid)
		return;
	fresh = bpf_map_lookup_elem(&sender_scratch, &zero);
	if (!fresh)
		return;
	fresh->description.credentials = users;
	describe_task(&fresh->description, task, fact->time_ns);
	bpf_map_update_elem(&sender_descriptions, &key, &fresh->description, BPF_ANY);
}
