/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a task and its signals, on old kernels. What loops is unrolled.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "event.h"
#include "kernel.h"
#include "old_maps.h"
#include "signals.h"

#define UNROLL _Pragma("clang loop unroll(full)")

/* include/linux/sched/signal.h */
#define SIGNAL_STOP_STOPPED 0x00000001
#define SIGNAL_GROUP_EXIT 0x00000004
#define SIGNAL_GROUP_COREDUMP 0x00000008

static __always_inline struct old_key key_of(struct task_struct *leader, enum old_kind kind)
{
	struct old_key key = {.start_boottime_ns = start_of(leader), .pid = READ(leader, tgid), .kind = kind};

	return key;
}

/* CLOCK_BOOTTIME: the loader publishes how long the machine was suspended. */
static __always_inline __u64 now(void)
{
	__u32 zero = 0;
	struct old_clock *clock = bpf_map_lookup_elem(&old_wall_clock, &zero);

	return bpf_ktime_get_ns() + (clock ? clock->suspended_ns : 0);
}

static __always_inline struct old_counters *counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&old_counters_map, &zero);
}

static __always_inline void count_memory_full(void)
{
	struct old_counters *sums = counters();

	if (sums)
		sums->lost_memory_full++;
}

static __always_inline bool in_user_namespace(struct task_struct *task)
{
	return READ(task, cred, user_ns, level);
}

/* The status as wait_task_zombie() computes it: that of the group if it exited as a group, else that of the leader. */
static __always_inline __u32 status_of(struct signal_struct *signal, struct task_struct *leader)
{
	if (READ(signal, flags) & SIGNAL_GROUP_EXIT)
		return READ(signal, group_exit_code);
	return READ(leader, exit_code);
}

/*
 * The status of the init of a pid namespace after reboot(2) in it: zap_pid_ns_processes() replaces the SIGKILL of reboot_pid_ns() by SIGINT
 * (off) or SIGHUP (restart), after the exit's tracepoint. For all others the status as it is.
 */
static __always_inline __u32 status_after_reboot(struct upid *upid, __u32 status)
{
	int reboot;

	if (READ(upid, nr) != 1)
		return status;
	reboot = READ(upid, ns, reboot);
	return reboot ? (__u32)reboot : status;
}

/* It has 32 bits before 5.7; CO-RE reads the width of the running kernel. */
static __always_inline __u64 exec_id_of(struct task_struct *task)
{
	return bpf_core_field_exists(task->self_exec_id) ? BPF_CORE_READ_BITFIELD_PROBED(task, self_exec_id) : 0;
}

/* The handler of a signal. CO-RE does not relocate the stride of an array with a variable index: hence bpf_core_type_size(). */
static __always_inline unsigned long handler_of(struct task_struct *task, __u32 signo)
{
	void *actions = (void *)READ(task, sighand) + bpf_core_field_offset(struct sighand_struct, action);
	struct k_sigaction *action = actions + ((signo - 1) & 63) * bpf_core_type_size(struct k_sigaction);

	return (unsigned long)READ(action, sa.sa_handler);
}

static __always_inline __u32 action_of(unsigned long handler)
{
	return handler == SIG_DFL ? ACTION_DEFAULT : handler == SIG_IGN ? ACTION_IGNORED : ACTION_HANDLED;
}

/* task is the only thread, or the last one: signals to others are gone. */
static __always_inline bool is_pending(struct task_struct *task, __u32 signo)
{
	return HAS(READ(task, signal, shared_pending.signal.sig[0]) | READ(task, pending.signal.sig[0]), signo);
}

/* UID_UNSET, too, where the kernel keeps none (CONFIG_AUDIT). */
static __always_inline __u32 login_uid_of(struct task_struct *task)
{
	if (!bpf_core_field_exists(((struct task_struct___audit *)0)->loginuid))
		return UID_UNSET;
	return READ((struct task_struct___audit *)task, loginuid.val);
}

static __always_inline void read_credentials(struct credentials *out, struct task_struct *task)
{
	out->real_uid = READ(task, cred, uid.val);
	out->login_uid = login_uid_of(task);
	out->session = UID_UNSET;
	out->zero = 0;
	if (bpf_core_field_exists(((struct task_struct___audit *)0)->sessionid))
		out->session = READ((struct task_struct___audit *)task, sessionid);
}

/* Writes the parent, its parent and so on. */
static __always_inline void read_ancestors(struct old_ancestors *out, struct task_struct *task)
{
	out->count = 0;
	UNROLL
	for (int i = 0; i < ANCESTORS_MAX; i++) {
		task = READ(task, real_parent, group_leader);
		out->ancestors[i].pid = READ(task, tgid);
		if (!out->ancestors[i].pid)
			return;
		bpf_core_read(&out->ancestors[i].comm, sizeof(out->ancestors[i].comm), &task->comm);
		out->starts[i] = start_of(task);
		out->count = i + 1;
	}
}
