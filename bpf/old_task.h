/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a task and its signals, on old kernels. What loops is unrolled.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "directories.h"
#include "event.h"
#include "kernel.h"
#include "old_maps.h"
#include "task_fields.h"

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

/* 0: it is not known. */
static __always_inline __u64 exec_id_of(struct task_struct *task)
{
	if (bpf_core_field_exists(task->self_exec_id))
		return exec_id(task);
	if (bpf_core_field_exists(((struct task_struct___beside *)0)->task_struct_rh))
		return READ((struct task_struct___beside *)task, task_struct_rh, self_exec_id);
	return 0;
}

/* UID_UNSET, too, where the kernel keeps none (CONFIG_AUDIT). */
static __always_inline __u32 login_uid_of(struct task_struct *task)
{
	if (bpf_core_field_exists(((struct task_struct___audit *)0)->loginuid))
		return READ((struct task_struct___audit *)task, loginuid.val);
	if (bpf_core_field_exists(((struct task_struct___audit_info *)0)->audit))
		return READ((struct task_struct___audit_info *)task, audit, loginuid.val);
	return UID_UNSET;
}

static __always_inline __u32 session_of(struct task_struct *task)
{
	if (bpf_core_field_exists(((struct task_struct___audit *)0)->sessionid))
		return READ((struct task_struct___audit *)task, sessionid);
	if (bpf_core_field_exists(((struct audit_task_info *)0)->sessionid))
		return READ((struct task_struct___audit_info *)task, audit, sessionid);
	return UID_UNSET;
}

static __always_inline void read_credentials(struct credentials *out, struct task_struct *task)
{
	out->real_uid = READ(task, cred, uid.val);
	out->login_uid = login_uid_of(task);
	out->session = session_of(task);
	out->zero = 0;
}

/* Up to 4.10, a helper writes to the stack only. */
static __always_inline void read_comm(char out[COMM_BYTES], struct task_struct *task)
{
#ifdef OLD_CLASSIC
	char comm[COMM_BYTES];

	bpf_core_read(comm, sizeof(comm), &task->comm);
	__builtin_memcpy(out, comm, sizeof(comm));
#else
	bpf_core_read(out, COMM_BYTES, &task->comm);
#endif
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
		read_comm(out->ancestors[i].comm, task);
		out->starts[i] = start_of(task);
		out->count = i + 1;
	}
}
