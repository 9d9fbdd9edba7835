/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Captures a crash: takes a free slot, and copies what the loader needs to unwind the stack. At the exit where the memory is still
 * there (6.16), else at the delivery of the signal, with interrupts off (docs/decisions/0075).
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "crash_files.h"
#include "crash_maps.h"
#include "crash_message.h"
#include "crash_modules.h"
#include "crash_registers.h"
#include "crash_slot.h"
#include "crash_stack.h"
#include "event.h"
#include "features.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "origin.h"
#include "pending_facts.h"
#include "scratch.h"
#include "signals.h"
#include "task.h"

volatile const bool captures_at_delivery = false; /* set by the loader: the memory is gone at the exit, or for tests */

/* Whether the origin of the scratch record holds as many slots as are free: so it holds half of them at most, and others find one. */
static __always_inline bool holds_its_share(__u32 user)
{
	__u64 sum = 0;

	for (int i = 0; i < CRASH_SLOTS; i++)
		sum += holder_of_slot(user, i);
	return (sum / OWN_SLOT & 0xff) >= CRASH_SLOTS - (sum / HELD_SLOT & 0xff);
}

/* The slot belongs to this run until its state is SLOT_FULL: nothing of its last use is in it (the loader zeroed it). */
static __always_inline void fill_slot(__u32 which, __u64 sequence)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct process_key key = key_of(READ(task, group_leader));
	struct crash_registers *registers = bpf_map_lookup_elem(&crash_registers, &key);
	struct pending_facts *facts = bpf_map_lookup_elem(&pending_facts, &key);
	struct crash_slot *slot = crash_slot_at(which);

	if (!slot || !registers)
		return;
	slot->key = key;
	slot->sequence = sequence;
	slot->crashed = registers->crashed;
	if (registers->handled.signo && registers->handled.tid == registers->crashed.tid &&
	    registers->crashed.time_ns - registers->handled.time_ns < HANDLED_NS_MAX)
		slot->handled = registers->handled;
	slot->address = instruction_of(&slot->crashed);
	if (facts && facts->fault.signo == slot->crashed.signo)
		slot->address = facts->fault.address;
	else if (facts && (slot->handled.signo || facts->handled_fault.signo == slot->crashed.signo))
		slot->address = facts->handled_fault.address;
	copy_stacks(which, slot);
	if (!bpf_probe_read_user(slot->code, CODE_BYTES, (void *)instruction_of(&slot->crashed)))
		slot->code_bytes = CODE_BYTES;
	walk_mappings(which);
	if (slot->crashed.signo == SIGABRT)
		copy_abort_message(which);
}

/*
 * Wakes the loader if it sleeps. It sets loader_waits before it looks at the ring a last time. So the ring grows first, with a record
 * that is discarded, and the flag is read after that.
 */
static __always_inline void wake_unwinder(struct crash_directory *directory)
{
	volatile __u32 *waits = &directory->loader_waits;
	void *empty = bpf_ringbuf_reserve(&crash_wakeups, 8, 0);

	if (empty)
		bpf_ringbuf_discard(empty, BPF_RB_NO_WAKEUP);
	if (!*waits)
		return;
	*waits = 0;
	empty = bpf_ringbuf_reserve(&crash_wakeups, 8, 0);
	if (empty)
		bpf_ringbuf_discard(empty, BPF_RB_FORCE_WAKEUP);
}

/* Captures current, whose origin is in the scratch record. Returns the sequence, and the slot in *out; 0: there was no slot. */
__noinline __u64 capture_crash(__u32 user)
{
	struct crash_directory *directory = the_crash_directory();
	struct record *record = scratch(user);
	struct crash_claim *claim;
	__u64 sequence, index;
	__u32 which = 0;

	if (!captures_crashes() || !directory || !record)
		return 0;
	record->crash.capture = CAPTURE_NO_SLOT;
	record->crash.slot = 0;
	record->crash.sequence = 0;
	if (holds_its_share(user) || bpf_map_pop_elem(&free_slots, &which)) {
		__sync_fetch_and_add(&directory->no_slot, 1);
		return 0;
	}
	index = which;
	barrier_var(index); /* or the compiler adds before it checks, and the verifier sees an unbounded pointer */
	if (index >= CRASH_SLOTS)
		return 0;
	sequence = bpf_ktime_get_boot_ns();
	claim = &directory->claims[index];
	claim->state = SLOT_FILLING;
	claim->sequence = sequence;
	claim->origin = record->event.origin;
	fill_slot(which, sequence);
	claim->page_set = copy_files(user, which);
	__sync_fetch_and_add(&directory->captured, 1); /* also a barrier: the loader reads the slot after its state */
	claim->state = SLOT_FULL;
	record->crash.capture = CAPTURE_SLOT;
	record->crash.slot = which;
	record->crash.sequence = sequence;
	wake_unwinder(directory);
	return 0;
}

/* At the delivery of a signal that terminates current. */
static __always_inline void capture_at_delivery(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(SCRATCH_REPORT);
	struct crash_registers *registers;
	struct process_key key;

	if (!captures_crashes() || !captures_at_delivery || !record || (scope_id && !in_scope(task)))
		return;
	key = key_of(READ(task, group_leader));
	registers = bpf_map_lookup_elem(&crash_registers, &key);
	if (!registers || registers->reference.capture)
		return;
	record->event.origin = origin_of(SCRATCH_REPORT, task);
	capture_crash(SCRATCH_REPORT);
	registers->reference = record->crash;
}

/*
 * An exit shortly after a fault that a handler took, as that of a Go program that panics: what is captured is the fault. Only where the
 * memory is still there.
 */
static __always_inline bool exits_after_fault(struct crash_registers *registers)
{
	if (captures_at_delivery || !registers->handled.signo ||
	    bpf_ktime_get_boot_ns() - registers->handled.time_ns >= HANDLED_NS_MAX)
		return false;
	registers->crashed = registers->handled;
	registers->handled.signo = 0;
	return true;
}

/* Appends the reference to what was copied, at the exit. */
static __always_inline __u64 append_crash(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct crash_registers *registers;

	if (!captures_crashes() || !record)
		return at;
	registers = bpf_map_lookup_elem(&crash_registers, &record->event.key);
	if (!registers)
		return at;
	if (!(record->event.status_raw & STATUS_SIGNAL)) {
		if (!exits_after_fault(registers))
			return at;
	} else if (registers->crashed.signo != (record->event.status_raw & STATUS_SIGNAL)) {
		return at;
	}
	if (captures_at_delivery)
		record->crash = registers->reference;
	else
		capture_crash(SCRATCH_REPORT);
	return append(record, at, PART_CRASH, &record->crash, sizeof(record->crash));
}
