/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The registers of a thread at the delivery of a fault or an abort: at the exit they are gone.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "crash_maps.h"
#include "crash_slot.h"
#include "event.h"
#include "kernel.h"
#include "load.h"
#include "registers.h"
#include "task.h"

static const struct crash_registers no_registers;

static __always_inline void read_all_registers(struct thread_registers *out)
{
	void *registers = current_registers();

	if (!registers)
		return;
	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->ip))
		bpf_probe_read_kernel(out->words, 21 * sizeof(out->words[0]), registers);
	else if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->pc))
		bpf_probe_read_kernel(out->words, sizeof(out->words), registers);
}

/* Keeps current's registers at the delivery of signo. handled: to a handler; else it terminates the process. */
__noinline __u64 keep_registers(__u32 signo, __u32 handled, __u64 time_ns)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct crash_registers *known;
	struct thread_registers *out;
	struct process_key key;

	if (!captures_crashes())
		return 0;
	key = key_of(READ(task, group_leader));
	known = bpf_map_lookup_elem(&crash_registers, &key);
	if (!known) {
		bpf_map_update_elem(&crash_registers, &key, &no_registers, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&crash_registers, &key);
	}
	if (!known)
		return 0;
	out = handled ? &known->handled : &known->crashed;
	out->time_ns = time_ns;
	out->tid = READ(task, pid);
	out->signo = signo;
	read_all_registers(out);
	return 0;
}

/* An exec: what was kept is of the last program. */
static __always_inline void drop_registers(const struct process_key *key)
{
	if (captures_crashes())
		bpf_map_delete_elem(&crash_registers, key);
}
