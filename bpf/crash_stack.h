/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The stack memory of a crash: from the stack pointer upwards that of the crashed thread, of its last handled fault, and of what a
 * signal on an alternate stack interrupted. Pages that are not resident are missing. Functions are global as in task_parts.h.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "crash_maps.h"
#include "crash_slot.h"
#include "kernel.h"
#include "load.h"

#define RED_ZONE_BYTES 128 /* below the stack pointer, of x86-64 */
#define FRAME_SEARCH_BYTES 32768 /* from the stack pointer's page, for the frame of a signal */

/* Offsets in words of x86's struct pt_regs, and arm64's struct user_pt_regs. */
#define X86_IP 16
#define X86_SP 19
#define ARM64_SP 31
#define ARM64_PC 32

/* The frame of a signal begins with the restorer's address, then struct ucontext (arch/x86/include/uapi/asm/sigcontext.h). */
#define X86_FRAME_SP (8 + 40 + 15 * 8)

/*
 * arm64 has no restorer. On an alternate stack, struct ucontext has its bounds in uc_stack: address, flags, size. The registers follow
 * its signal mask: the address of a fault, x0 to x30, sp (arch/arm64/include/uapi/asm/{ucontext,sigcontext}.h).
 */
#define ARM64_STACK_SIZE 16
#define ARM64_FRAME_SP (160 + 8 + 31 * 8)
#define SIGNAL_FRAME_BYTES 512
_Static_assert(FRAME_SEARCH_BYTES + SIGNAL_FRAME_BYTES <= MAIN_STACK_PAGES * CRASH_PAGE,
	       "a frame that begins at the end is read whole");

static __always_inline __u64 stack_pointer_of(const struct thread_registers *registers)
{
	return bpf_core_field_exists(((struct pt_regs___x86 *)0)->ip) ? registers->words[X86_SP] : registers->words[ARM64_SP];
}

static __always_inline __u64 instruction_of(const struct thread_registers *registers)
{
	return bpf_core_field_exists(((struct pt_regs___x86 *)0)->ip) ? registers->words[X86_IP] : registers->words[ARM64_PC];
}

/* The first pages may be missing, as after a stack overflow: copying begins at the first one there, and ends at the next missing one. */
__noinline __u64 copy_main_stack(__u32 which)
{
	struct crash_slot *slot = crash_slot_at(which);
	__u64 start, present = 0;

	if (!captures_crashes() || !slot)
		return 0;
	start = (stack_pointer_of(&slot->crashed) - RED_ZONE_BYTES) & ~(CRASH_PAGE - 1ull);
	slot->regions[0].start = start;
	for (int i = 0; i < MAIN_STACK_PAGES; i++) {
		if (!bpf_probe_read_user(slot->stack + i * CRASH_PAGE, CRASH_PAGE, (void *)(start + i * CRASH_PAGE)))
			present |= 1ull << i;
		else if (present)
			break;
	}
	slot->regions[0].present = present;
	return 0;
}

/* which_region: 1 or 2. Without an index: the verifier of 6.1 loses its bounds. */
__noinline __u64 copy_other_stack(__u32 which, __u32 which_region, __u64 stack_pointer)
{
	struct crash_slot *slot = crash_slot_at(which);
	struct stack_region *region;
	__u64 start, present = 0;
	char *out;

	if (!captures_crashes() || !slot)
		return 0;
	region = &slot->regions[1];
	out = slot->stack + MAIN_STACK_PAGES * CRASH_PAGE;
	if (which_region == 2) {
		region = &slot->regions[2];
		out = slot->stack + (MAIN_STACK_PAGES + OTHER_STACK_PAGES) * CRASH_PAGE;
	}
	start = (stack_pointer - RED_ZONE_BYTES) & ~(CRASH_PAGE - 1ull);
	region->start = start;
	for (int i = 0; i < OTHER_STACK_PAGES; i++) {
		if (!bpf_probe_read_user(out + i * CRASH_PAGE, CRASH_PAGE, (void *)(start + i * CRASH_PAGE)))
			present |= 1ull << i;
		else if (present)
			break;
	}
	region->present = present;
	return 0;
}

/* Where all signal handlers of x86 return to; all of a process have the C library's. */
__noinline __u64 restorer_of_current(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	void *actions;

	if (!captures_crashes() || !bpf_core_field_exists(((struct sigaction___restorer *)0)->sa_restorer))
		return 0;
	actions = (void *)READ(task, sighand) + bpf_core_field_offset(struct sighand_struct, action) +
		  bpf_core_field_offset(struct k_sigaction, sa);
	for (int i = 0; i < 31; i++) {
		struct sigaction___restorer *action = actions + i * bpf_core_type_size(struct k_sigaction);
		__u64 restorer = (__u64)BPF_CORE_READ(action, sa_restorer);

		if (restorer)
			return restorer;
	}
	return 0;
}

/* The stack pointer that the last signal on the copied stack interrupted; 0: there is none. */
__noinline __u64 find_interrupted_x86(__u32 which)
{
	struct crash_slot *slot = crash_slot_at(which);
	__u64 restorer = restorer_of_current();

	if (!captures_crashes() || !slot || !restorer || !bpf_core_field_exists(((struct pt_regs___x86 *)0)->ip))
		return 0;
	for (int i = 0; i < FRAME_SEARCH_BYTES / 8; i++) {
		if (*(__u64 *)(slot->stack + i * 8) == restorer)
			return *(__u64 *)(slot->stack + i * 8 + X86_FRAME_SP);
	}
	return 0;
}

/* The same, of a signal that came on the alternate stack of current. */
__noinline __u64 find_interrupted_arm64(__u32 which)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct crash_slot *slot = crash_slot_at(which);
	__u64 begin = READ(task, sas_ss_sp), bytes = READ(task, sas_ss_size);

	if (!captures_crashes() || !slot || !begin || !bpf_core_field_exists(((struct pt_regs___arm64 *)0)->pc))
		return 0;
	for (int i = 0; i < FRAME_SEARCH_BYTES / 8; i++) {
		char *at = slot->stack + i * 8;

		/* One test, or the verifier follows each of them. */
		if (!((*(__u64 *)at ^ begin) | (*(__u64 *)(at + ARM64_STACK_SIZE) ^ bytes)))
			return *(__u64 *)(at + ARM64_FRAME_SP);
	}
	return 0;
}

/* Whether the page of the stack pointer is in the first region. Stacks of Go lie side by side: what is behind a missing page is another. */
static __always_inline bool is_copied(const struct crash_slot *slot, __u64 stack_pointer)
{
	__u64 page = (stack_pointer - slot->regions[0].start) / CRASH_PAGE;

	return page < MAIN_STACK_PAGES && slot->regions[0].present >> page & 1;
}

#define HANDLED_NS_MAX 2000000000ull /* a handled fault that is older has nothing to do with the crash */

static __always_inline void copy_stacks(__u32 which, struct crash_slot *slot)
{
	__u64 other;

	copy_main_stack(which);
	if (slot->handled.signo && !is_copied(slot, stack_pointer_of(&slot->handled)))
		copy_other_stack(which, 1, stack_pointer_of(&slot->handled));
	other = find_interrupted_x86(which);
	if (!other)
		other = find_interrupted_arm64(which);
	if (other && !is_copied(slot, other))
		copy_other_stack(which, 2, other);
}
