/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Registers and saved state of a task, on x86-64 and arm64. CO-RE selects the flavour that the running kernel has; on other
 * architectures nothing is read.
 */
#pragma once

#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "event.h"
#include "kernel.h"
#include "load.h"

/* The user registers of current; NULL: no helper reads them (before 5.15). */
static __always_inline void *current_registers(void)
{
	/* On a kernel without the helper, the branch is removed before the verifier sees it. */
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());
	return NULL;
}

#define TS_COMPAT 0x2 /* arch/x86/include/asm/thread_info.h: current entered the kernel by a system call of 32 bits */
#define TIF_32BIT 22 /* arch/arm64/include/asm/thread_info.h */

/* A system call, by its number in one of the architecture's tables. */
struct system_call {
	__s32 nr; /* -1: none, or not known */
	__u32 arch; /* enum audit_arch; 0: not known */
};

/*
 * The table of current's system calls. On x86 this is not a property of the process: one of 64 bits may enter with `int 0x80`
 * (do_int80_emulation() sets TS_COMPAT, the return to user mode clears it).
 */
static __always_inline __u32 current_arch(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct thread_info___x86 *info = (void *)task + bpf_core_field_offset(struct task_struct, thread_info);
	__u32 status = 0;

	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->orig_ax)) {
		if (!bpf_core_field_exists(info->status))
			return 0;
		status = READ(info, status);
		return status & TS_COMPAT ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
	}
	if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->syscallno))
		return BPF_CORE_READ(task, thread_info.flags) & 1ul << TIF_32BIT ? AUDIT_ARCH_ARM : AUDIT_ARCH_AARCH64;
	return 0;
}

/*
 * The system call that current is in. The number is also there after the call returned, until current is back in user mode
 * (task work), and during an interrupt: it alone does not show that the call did anything.
 */
static __always_inline struct system_call current_system_call(void)
{
	void *registers = current_registers();
	struct system_call call = {.nr = -1};

	if (!registers)
		return call;
	if (bpf_core_type_exists(struct pt_regs___x86) && bpf_core_field_exists(((struct pt_regs___x86 *)0)->orig_ax)) {
		call.nr = READ((struct pt_regs___x86 *)registers, orig_ax);
	} else if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->syscallno)) {
		call.nr = READ((struct pt_regs___arm64 *)registers, syscallno);
	}
	call.arch = current_arch();
	return call;
}

static __always_inline void read_registers(struct fault *fault)
{
	void *registers = current_registers();

	fault->instruction_pointer = 0;
	fault->stack_pointer = 0;
	if (!registers)
		return;
	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->ip)) {
		fault->instruction_pointer = READ((struct pt_regs___x86 *)registers, ip);
		fault->stack_pointer = READ((struct pt_regs___x86 *)registers, sp);
	} else if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->pc)) {
		fault->instruction_pointer = READ((struct pt_regs___arm64 *)registers, pc);
		fault->stack_pointer = READ((struct pt_regs___arm64 *)registers, sp);
	}
}

static __always_inline void read_trap(struct fault *fault, struct task_struct *task)
{
	struct thread_struct___x86 *thread = (void *)task + bpf_core_field_offset(struct task_struct, thread);

	fault->has_trap = bpf_core_field_exists(thread->trap_nr);
	fault->trap_nr = 0;
	fault->error_code = 0;
	if (fault->has_trap) {
		fault->trap_nr = READ(thread, trap_nr);
		fault->error_code = READ(thread, error_code);
	}
}

/*
 * The thread pointer as the kernel last saved it: when the thread was last switched out, or when arch_prctl(2), clone(2) or exec
 * set it since (do_arch_prctl_64() and copy_thread() of arch/x86/kernel, __switch_to() of both). C libraries set it once, on
 * x86-64 only by these calls. On arm64 the first thread writes the register itself: 0 until it is first switched out.
 */
static __always_inline __u64 thread_pointer_of(struct task_struct *task)
{
	void *thread = (void *)task + bpf_core_field_offset(struct task_struct, thread);
	__u64 pointer = 0;

	if (bpf_core_field_exists(((struct thread_struct___x86 *)0)->fsbase))
		bpf_core_read(&pointer, sizeof(pointer), &((struct thread_struct___x86 *)thread)->fsbase);
	else if (bpf_core_field_exists(((struct thread_struct___arm64 *)0)->uw.tp_value))
		bpf_core_read(&pointer, sizeof(pointer), &((struct thread_struct___arm64 *)thread)->uw.tp_value);
	return pointer;
}
