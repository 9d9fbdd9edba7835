/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * READ() for the programs of old kernels, with the one helper that reads memory there: bpf_probe_read(). Those for kernel and user memory
 * came with 5.5. And the shapes that the kernel's types had before those of kernel.h.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* Also in the headers of libbpf and in siginfo.h. */
#define bpf_probe_read_kernel bpf_probe_read
#define bpf_probe_read_kernel_str bpf_probe_read_str

#include <bpf/bpf_core_read.h>

#define CAN_LOAD false

#include "event.h"
#include "kernel.h"
#include "load.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Before 5.5: "time: Rename tsk->real_start_time to ->start_boottime". */
struct task_struct___real_start_time {
	__u64 real_start_time;
};

/* RHEL 8 (4.18) keeps the layout of a task, and has what grew in a structure beside it. */
struct task_struct_rh {
	__u64 self_exec_id;
};

struct task_struct___beside {
	struct task_struct_rh *task_struct_rh;
};

/* As are, there, the login user and the session. */
struct audit_task_info {
	kuid_t loginuid;
	unsigned int sessionid;
};

struct task_struct___audit_info {
	struct audit_task_info *audit;
};

/* Before 5.1: "kernfs: clean up struct kernfs_iattrs". */
struct iattr {
	kuid_t ia_uid;
};

struct kernfs_iattrs___nested {
	struct iattr ia_iattr;
};

/* Before 4.19: "pids: Move the pgrp and session pid pointers from task_struct to signal_struct". */
struct pid_link {
	struct pid *pid;
};

struct task_struct___pids {
	struct pid_link pids[1]; /* PIDTYPE_PID */
};

#pragma clang attribute pop

/* CLOCK_BOOTTIME, when the process of the leader started. */
static __always_inline __u64 start_of(struct task_struct *leader)
{
	if (bpf_core_field_exists(leader->start_boottime))
		return READ(leader, start_boottime);
	return READ((struct task_struct___real_start_time *)leader, real_start_time);
}

/* The pid of a thread group leader in its own pid namespace, with that namespace. */
static __always_inline struct upid *upid_of(struct task_struct *leader)
{
	struct pid *pid;

	if (bpf_core_field_exists(((struct signal_struct *)0)->pids))
		pid = READ(leader, signal, pids[1 /* PIDTYPE_TGID */]);
	else
		pid = READ((struct task_struct___pids *)leader, pids[0].pid);
	return (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       (READ(pid, level) & 63) * bpf_core_type_size(struct upid);
}

/*
 * Linux 4.8 does not know where the address of a map's value points after a number was added. clang adds one where it makes one of two writes to different
 * fields, as at the ends of two branches: a barrier behind each keeps them apart.
 */
#define COUNT(field)                                                                                                             \
	({                                                                                                                       \
		(field)++;                                                                                                       \
		barrier();                                                                                                       \
	})
