/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fields of a task, as the programs of all kernels read them (whodunit.bpf.c and old.bpf.c).
 */
#pragma once

#include <stdbool.h>

#include <linux/types.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kernel.h"
#include "load.h"

/* include/linux/sched/signal.h */
#define SIGNAL_STOP_STOPPED 0x00000001
#define SIGNAL_GROUP_EXIT 0x00000004
#define SIGNAL_GROUP_COREDUMP 0x00000008 /* before 5.17 */

static __always_inline bool in_user_namespace(struct task_struct *task)
{
	return READ(task, cred, user_ns, level);
}

/* self_exec_id is 64 bits wide since 5.7; CO-RE reads the width of the running kernel. */
static __always_inline __u64 exec_id(struct task_struct *task)
{
	return CAN_LOAD ? READ(task, self_exec_id) : BPF_CORE_READ_BITFIELD_PROBED(task, self_exec_id);
}

/* The handler of a signal. CO-RE does not relocate the stride of an array with a variable index: hence bpf_core_type_size(). */
static __always_inline unsigned long handler_of(struct task_struct *task, __u32 signo)
{
	void *actions = (void *)READ(task, sighand) + bpf_core_field_offset(struct sighand_struct, action);
	struct k_sigaction *action = actions + ((signo - 1) & 63) * bpf_core_type_size(struct k_sigaction);

	return (unsigned long)READ(action, sa.sa_handler);
}

/* The status as wait_task_zombie() computes it: that of the group if it exited as a group, else that of the leader. */
static __always_inline __u32 status_of(struct signal_struct *signal, struct task_struct *leader)
{
	if (READ(signal, flags) & SIGNAL_GROUP_EXIT)
		return READ(signal, group_exit_code);
	return READ(leader, exit_code);
}

/*
 * Whether the process of an exiting thread goes on. live no longer counts that thread when the kernel signals its children
 * (do_exit() before exit_notify()).
 */
static __always_inline bool is_group_alive(struct signal_struct *signal)
{
	return READ(signal, live.counter) > 0 && !(READ(signal, flags) & (SIGNAL_GROUP_EXIT | SIGNAL_GROUP_COREDUMP));
}

/* Whether a stop has begun: the threads that still run take no signal any more (get_signal() in kernel/signal.c). */
static __always_inline bool is_stopped(struct signal_struct *signal)
{
	return READ(signal, flags) & SIGNAL_STOP_STOPPED || READ(signal, group_stop_count);
}
