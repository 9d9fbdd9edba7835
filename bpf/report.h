/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The record of a termination, made at the exit of the last thread: its parts in the order of their value, and fewer of them when
 * the ring runs low.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "crash.h"
#include "environment.h"
#include "event.h"
#include "fact_parts.h"
#include "kernel.h"
#include "kept_program.h"
#include "known_build_ids.h"
#include "load.h"
#include "maps.h"
#include "mm_snapshot.h"
#include "pending_facts.h"
#include "pipes.h"
#include "program_list.h"
#include "repeats.h"
#include "restart.h"
#include "ring.h"
#include "scratch.h"
#include "task.h"
#include "task_parts.h"
#include "thread_context.h"

/* There is no room in the ring, or in the origin's share of it. */
static __always_inline void lose(struct counters *counters)
{
	counters->lost_ring_full++;
	count_lost_of_origin(SCRATCH_REPORT);
}

/* The parts that are left out first, and the claims among them, which are part of the repeat key. */
static __always_inline __u64 append_details(struct record *record, __u64 at, bool has_mm, bool has_facts)
{
	__u64 context_at, context_end;

	if (!record->has_repeat_key)
		fill_repeat_key(has_facts);
	if (record->used_eighths < DETAILS_EIGHTHS_MAX) {
		if (record->used_eighths < PROGRAMS_EIGHTHS_MAX)
			at = append_programs(SCRATCH_REPORT, at);
		at = append_pipes(at);
		if (has_facts)
			at = append_senders(at);
		context_at = at;
		if (has_mm) {
			at = append_published(SCRATCH_REPORT, at);
			context_end = at;
			at = append_env(SCRATCH_REPORT, at);
			set_claims(context_at, context_end);
			at = append_args(SCRATCH_REPORT, at);
		} else {
			at = append_kept_rest(at);
		}
	} else if (has_mm && !record->has_repeat_key) {
		read_claims(at);
	}
	return at;
}

/* task is current. status: as wait4(2) returns it. has_facts: there may be an entry in pending_facts. */
static __always_inline void report(struct task_struct *task, struct task_struct *leader, struct signal_struct *signal,
				   __u32 status, bool has_facts, __u64 now_ns)
{
	bool has_mm = READ(task, mm);
	struct record *record = scratch(SCRATCH_REPORT);
	struct event *event;
	struct counters *counters;
	__u64 at = 0, exe_at;
	__u32 zero = 0;

	counters = bpf_map_lookup_elem(&counters_map, &zero);
	if (!record || !counters)
		return;
	event = &record->event;
	fill_identity(SCRATCH_REPORT, event, task, leader, signal);
	record->used_eighths = used_eighths_of_share(SCRATCH_REPORT);
	if (record->used_eighths >= EIGHTHS) {
		lose(counters);
		if (!has_mm)
			bpf_map_delete_elem(&mm_snapshots, &event->key);
		return;
	}
	event->flags = record->used_eighths >= DETAILS_EIGHTHS_MAX ? EVENT_FLAG_SHRUNK : 0;
	event->time_ns = now_ns;
	event->clock_offset_ns = clock_offset_at(event->time_ns);
	event->status_raw = status_after_reboot(signal, event->vpid, status);
	event->seccomp_mode = READ(task, seccomp.mode);
	event->pdeath_signal = READ(leader, pdeath_signal);
	event->ptrace = READ(task, ptrace) | READ(leader, ptrace);
	event->threads = 0;

	if (has_facts)
		at = append_pending_facts(at);
	if (!at && may_lack_facts(&event->origin, &event->key))
		event->flags |= EVENT_FLAG_FACTS_REFUSED;
	if (has_facts && (!(status & STATUS_SIGNAL) || HAS(CRASHES, status & STATUS_SIGNAL)))
		at = append_crash(at);
	if (in_user_namespace(task))
		event->flags |= EVENT_FLAG_USER_NAMESPACE;
	if (READ(signal, oom_mm))
		event->flags |= EVENT_FLAG_OOM_VICTIM;
	if (event->flags & EVENT_FLAG_OOM_VICTIM || (has_facts && may_be_oom_victim(record_facts(record))))
		at = append_oom(at);
	exe_at = at;
	at = has_mm ? append_exe(SCRATCH_REPORT, at) : append_kept_exe(at);
	if (has_mm && record->used_eighths < DETAILS_EIGHTHS_MAX)
		at = append_known_build_ids(at);
	if (at > exe_at && record->used_eighths < DETAILS_EIGHTHS_MAX)
		keep_termination(exe_at);
	at = append_cgroup(SCRATCH_REPORT, append_credentials(SCRATCH_REPORT, at));
	at = append_hostname(SCRATCH_REPORT, at);
	if (record->used_eighths < ANCESTORS_EIGHTHS_MAX)
		at = append_ancestors(SCRATCH_REPORT, at);
	at = append_details(record, at, has_mm, has_facts);
	at = append_repeat_key(at);
	if (!has_mm)
		bpf_map_delete_elem(&mm_snapshots, &event->key);
	if (at > sizeof(record->parts) || submit_record(SCRATCH_REPORT, record, sizeof(*event) + at))
		lose(counters);
	else
		counters->terminations++;
}
