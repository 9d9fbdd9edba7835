/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a task: identity, ancestors, user memory. Its paths are in paths.h, its registers in registers.h. Every loop and every
 * copy has a named limit. Nothing here can sleep or fault: pages that are not resident are missing.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "paths.h"
#include "task_fields.h"

#define COPY_BYTES 4096 /* at most a page at a time: a read that fails at its end returns nothing */

volatile const __u32 page_bytes = 4096; /* set by the loader */

static __always_inline struct process_key key_of(struct task_struct *leader)
{
	struct process_key key = {
		.start_boottime_ns = READ(leader, start_boottime),
		.pid = READ(leader, tgid),
	};

	return key;
}

/* The tgid in the task's own pid namespace, with that namespace. */
static __always_inline struct upid *upid_of(struct signal_struct *signal)
{
	struct pid *pid = READ(signal, pids[1 /* PIDTYPE_TGID */]);

	return (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       (READ(pid, level) & 63) * bpf_core_type_size(struct upid);
}

static __always_inline __u32 vpid_of(struct signal_struct *signal)
{
	struct upid *upid = upid_of(signal);

	return READ(upid, nr);
}

/*
 * The status of the init of a pid namespace after reboot(2) in it: zap_pid_ns_processes() replaces the SIGKILL of reboot_pid_ns() by SIGINT
 * (off) or SIGHUP (restart), after the exit's tracepoint. For all others the status as it is.
 */
static __always_inline __u32 status_after_reboot(struct signal_struct *signal, __u32 vpid, __u32 status)
{
	struct upid *upid;
	int reboot;

	if (vpid != 1)
		return status;
	upid = upid_of(signal);
	reboot = READ(upid, ns, reboot);
	return reboot ? (__u32)reboot : status;
}

/* The login user is UID_UNSET, too, where the kernel keeps none (CONFIG_AUDIT). */
static __always_inline void read_credentials(struct credentials *out, struct task_struct *task)
{
	out->real_uid = READ(task, cred, uid.val);
	out->login_uid = out->session = UID_UNSET;
	out->zero = 0;
	if (bpf_core_field_exists(((struct task_struct___audit *)0)->loginuid)) {
		out->login_uid = READ((struct task_struct___audit *)task, loginuid.val);
		out->session = READ((struct task_struct___audit *)task, sessionid);
	}
}

/* Writes the parent, its parent and so on. Returns their number. */
static __noinline __u32 read_ancestors(struct ancestor *out, struct task_struct *task)
{
	__u32 count = 0;

	UNROLL
	for (int i = 0; i < ANCESTORS_MAX; i++) {
		task = READ(task, real_parent, group_leader);
		out[i].pid = READ(task, tgid);
		if (!out[i].pid)
			return count;
		bpf_core_read(&out[i].comm, sizeof(out[i].comm), &task->comm);
		count++;
	}
	return count;
}

#define UTS_NS_INIT_INO 0xeffffffe /* include/uapi/linux/nsfs.h; before 6.18 PROC_UTS_INIT_INO */

/*
 * Writes the host name of the task's UTS namespace with its NUL; `out` has room for HOSTNAME_BYTES_MAX. Returns the bytes; 0: it is the
 * machine's. The namespaces of an exiting task go after the tracepoint, on all kernels (exit_task_namespaces()).
 */
static __always_inline __u64 read_hostname(char *out, struct task_struct *task)
{
	struct uts_namespace *uts_ns = READ(task, nsproxy, uts_ns);
	long bytes;

	if (READ(uts_ns, ns.inum) == UTS_NS_INIT_INO)
		return 0;
	bytes = bpf_probe_read_kernel_str(out, HOSTNAME_BYTES_MAX,
					  (void *)uts_ns + bpf_core_field_offset(struct uts_namespace, name.nodename));
	return bytes > 0 ? bytes : 0;
}

/* Copies current's user memory in pieces that end at page borders. Returns the bytes before the first missing page. */
static __noinline __u64 copy_user(char *out, __u64 from, __u64 bytes)
{
	__u64 first, rest;

	if (bytes > COPY_BYTES)
		bytes = COPY_BYTES;
	first = page_bytes - (from & (page_bytes - 1));
	if (first > bytes)
		first = bytes;
	if (first > COPY_BYTES || bpf_probe_read_user(out, first, (void *)from))
		return 0;
	rest = bytes - first;
	if (!rest || rest > COPY_BYTES || first > COPY_BYTES)
		return first;
	if (bpf_probe_read_user(out + first, rest, (void *)(from + first)))
		return first;
	return first + rest;
}

/* Copies current's argument block, up to max (≤ COPY_BYTES). Returns the bytes, | TRUNCATED. */
static __always_inline __u64 read_args(char *out, struct mm_struct *mm, __u64 max)
{
	__u64 start = READ(mm, arg_start), end = READ(mm, arg_end);
	__u64 wanted, bytes;

	if (!start || end <= start)
		return 0;
	wanted = end - start > max ? max : end - start;
	bytes = copy_user(out, start, wanted);
	return end - start > bytes ? bytes | TRUNCATED : bytes;
}
