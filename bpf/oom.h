/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sizes of a victim of the OOM killer, and the memory cgroup whose limit it hit.
 */
#pragma once

#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "event.h"
#include "kernel.h"
#include "kernel_cgroups.h"
#include "load.h"
#include "paths.h"

#define MEMCG_DEPTH_MAX 16

/* include/linux/mm_types_task.h */
#define MM_FILEPAGES 0
#define MM_ANONPAGES 1
#define MM_SHMEMPAGES 3

static __always_inline __s64 pages_of(struct mm_struct *mm, __u32 member)
{
	__s64 pages = 0;

	if (bpf_core_type_exists(struct mm_rss_stat)) {
		bpf_core_read(&pages, sizeof(pages), &((struct mm_struct___atomic *)mm)->rss_stat.count[member].counter);
	} else {
		struct percpu_counter *counter = (void *)mm + bpf_core_field_offset(struct mm_struct___percpu, rss_stat) +
						 member * bpf_core_type_size(struct percpu_counter);

		pages = READ(counter, count);
	}
	return pages < 0 ? 0 : pages;
}

/* The sizes as in the kernel's own log line: get_mm_counter(), without what is still cached per CPU. */
static __always_inline void read_sizes(struct oom *oom, struct mm_struct *mm)
{
	if (!mm)
		return;
	oom->total_vm = READ(mm, total_vm);
	oom->anon_rss = pages_of(mm, MM_ANONPAGES);
	oom->file_rss = pages_of(mm, MM_FILEPAGES);
	oom->shmem_rss = pages_of(mm, MM_SHMEMPAGES);
}

/* The nearest memory cgroup with less room than one charge may take (MEMCG_CHARGE_BATCH: 64 pages). */
static __always_inline void read_limit(struct oom *oom, struct task_struct *task, __u64 *directories)
{
	struct cgroup_subsys_state *css = NULL;
	struct css_set *css_set = READ(task, cgroups);

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return;
	bpf_core_read(&css, sizeof(css), &css_set->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) & 15]);
	UNROLL
	for (int i = 0; i < MEMCG_DEPTH_MAX; i++) {
		struct mem_cgroup *memcg;
		__u64 max, usage;

		if (!css)
			return;
		memcg = (void *)css - bpf_core_field_offset(struct mem_cgroup, css);
		max = READ(memcg, memory.max);
		usage = READ(memcg, memory.usage.counter);
		if (usage + 64 >= max) {
			oom->limit = max;
			oom->cgroup_bytes = read_cgroup_path(oom->cgroup, READ(css, cgroup), directories) & ~TRUNCATED;
			return;
		}
		css = READ(css, parent);
	}
}

/* Fills in all but the unused end of the cgroup. mm: of the victim; may be NULL, then the sizes are 0. directories: for read_cgroup_path(). */
static __always_inline void read_oom(struct oom *oom, struct task_struct *victim, struct mm_struct *mm, __u64 *directories)
{
	oom->time_ns = bpf_ktime_get_boot_ns();
	oom->score_adj = READ(victim, signal, oom_score_adj);
	oom->total_vm = oom->anon_rss = oom->file_rss = oom->shmem_rss = 0;
	oom->limit = oom->cgroup_bytes = 0;
	read_sizes(oom, mm);
	read_limit(oom, victim, directories);
}
