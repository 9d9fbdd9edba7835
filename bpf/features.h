/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the running kernel offers, detected by its BTF and never by its version. Each feature is defined once: has_<name>() tests
 * it with CO-RE, and feature_<name> holds the same names in .rodata for the loader, which decides with them what to load.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kernel.h"

/* A type of the kernel, and a member of it; an empty member: the type alone. */
struct feature {
	char type[40];
	char member[16];
};
_Static_assert(sizeof(struct feature) == 56, "no padding: the loader reads it from .rodata");

#define FEATURE_OF_MEMBER(name, structure, member)                                                                               \
	const struct feature feature_##name = {#structure, #member};                                                             \
	static __always_inline bool has_##name(void)                                                                             \
	{                                                                                                                        \
		return bpf_core_field_exists(((struct structure *)0)->member);                                                   \
	}

/* declared is the type as kernel.h declares it: with its flavour, if need be. */
#define FEATURE_OF_TYPE(name, type, declared)                                                                                    \
	const struct feature feature_##name = {#type, ""};                                                                       \
	static __always_inline bool has_##name(void)                                                                             \
	{                                                                                                                        \
		return bpf_core_type_exists(declared);                                                                           \
	}

/* 6.16: sched_process_exit names the last thread, and fires before exit_mm(), while the memory is readable. */
FEATURE_OF_MEMBER(group_dead, trace_event_raw_sched_process_exit, group_dead)

/* 6.8 and backports: mark_victim carries the task and its sizes, not a pid alone. */
FEATURE_OF_MEMBER(mark_victim_sizes, trace_event_raw_mark_victim, total_vm)

/* Tracepoints are guarded by SRCU, so that a probe can be preempted (observed on 7.2; docs/kernel-facts.md, section 6). */
FEATURE_OF_TYPE(preemptible_tracepoints, class_srcu_fast_notrace_t, class_srcu_fast_notrace_t)

/* 6.7: the open-coded iterator of mappings, and that of numbers. */
FEATURE_OF_TYPE(task_vma_iterator, bpf_iter_task_vma, struct bpf_iter_task_vma___kernel)

/* 6.1: the mappings of a process are in a maple tree, which is walked by hand (crash_modules.h). */
FEATURE_OF_TYPE(maple_tree, maple_tree, struct maple_tree)
