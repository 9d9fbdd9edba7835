/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which thread triggered a group exit: by a signal that it raised, or by exit_group(2). The record is made at the exit of the
 * last thread, which often is another one, so the trigger is kept with its thread pointer (docs/decisions/0039). Only with
 * wants_thread_context.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "registers.h"
#include "task.h"

/* exit_group(2) */
#define NR_EXIT_GROUP_X86 231
#define NR_EXIT_GROUP_ARM64 94

volatile const bool wants_thread_context = false; /* set by the loader */

/*
 * Marks current as the thread that triggered the group exit, by that signal; 0: by exit_group(2). If a second thread does the
 * same, it is not known which of them was first: the entry then has no thread pointer.
 */
static __always_inline void mark_trigger_thread(__u32 signo)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct process_key key = key_of(READ(task, group_leader));
	struct trigger_thread *known = bpf_map_lookup_elem(&trigger_threads, &key);
	struct trigger_thread thread = {.tid = READ(task, pid), .signo = signo};

	if (!known || known->tid == thread.tid)
		thread.thread_pointer = thread_pointer_of(task);
	bpf_map_update_elem(&trigger_threads, &key, &thread, BPF_ANY);
}

/*
 * Whether current is in exit_group(2) with this status. If two threads call it, the argument of the first one is the status. Not
 * by a table of 32 bits: no context is found in such a process.
 */
static __always_inline bool in_exit_group(__u32 status)
{
	void *registers = current_registers();
	__u64 code = 0;
	struct system_call call = current_system_call();

	if (!registers)
		return false;
	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->di)) {
		if (call.arch != AUDIT_ARCH_X86_64 || call.nr != NR_EXIT_GROUP_X86)
			return false;
		bpf_core_read(&code, sizeof(code), &((struct pt_regs___x86 *)registers)->di);
	} else if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->orig_x0)) {
		if (call.arch != AUDIT_ARCH_AARCH64 || call.nr != NR_EXIT_GROUP_ARM64)
			return false;
		bpf_core_read(&code, sizeof(code), &((struct pt_regs___arm64 *)registers)->orig_x0);
	}
	return (code & 0xff) << 8 == status;
}

/* At the exit of current: marks it if it called exit_group(2). Returns whether it did. */
static __noinline bool mark_exit_group_caller(struct task_struct *task)
{
	__u32 status = READ(task, signal, group_exit_code);

	if (!status || !in_exit_group(status))
		return false;
	mark_trigger_thread(0);
	return true;
}
