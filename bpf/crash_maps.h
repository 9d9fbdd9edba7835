/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of crashes. The loader pins them, except where no stack is taken (docs/decisions/0075); there it makes them small.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "crash_slot.h"
#include "event.h"
#include "features.h"

#define CRASHED_PROCESSES_MAX 512

volatile const bool wants_stack = false; /* set by the loader: WHODUNIT_STACK */

/* Whether crashes are captured here. Every global function that captures begins with it: older verifiers check each of them. */
static __always_inline bool captures_crashes(void)
{
	return wants_stack && has_maple_tree();
}

/* The loader maps one at a time: a mapped array counts as its memory. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CRASH_SLOTS);
	__type(key, __u32);
	__type(value, struct crash_slot);
} crash_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct crash_directory);
} crash_directory_map SEC(".maps");

/* The numbers of the free slots. The loader puts them in, a crash takes one out. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, CRASH_SLOTS);
	__type(value, __u32);
} free_slots SEC(".maps");

/* As the slots and their queue, for the files that may be out of reach later. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CRASH_PAGE_SETS);
	__type(key, __u32);
	__type(value, struct crash_pages);
} crash_pages_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, CRASH_PAGE_SETS);
	__type(value, __u32);
} free_page_sets SEC(".maps");

/* Wakes the loader. It has no records. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} crash_wakeups SEC(".maps");

/* The registers of a process that crashes, or handled a fault. */
struct crash_registers {
	struct thread_registers crashed;
	struct thread_registers handled;
	struct crash_reference reference; /* where the copy was made before the exit */
};

/* An LRU: entries of processes that handle their faults, as JVMs do, are never deleted before the exit. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CRASHED_PROCESSES_MAX);
	__type(key, struct process_key);
	__type(value, struct crash_registers);
} crash_registers SEC(".maps");

static __always_inline struct crash_slot *crash_slot_at(__u32 which)
{
	return bpf_map_lookup_elem(&crash_slots, &which);
}

static __always_inline struct crash_directory *the_crash_directory(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&crash_directory_map, &zero);
}
