/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PART_THREAD_CONTEXT: the active span of the thread that triggered the exit, as that thread publishes it (OpenTelemetry's OTEP
 * 4947): the thread-local variable otel_thread_ctx_v1 points to a record. All threads share the memory, and no thread writes to
 * it any more. Only with wants_thread_context (docs/decisions/0039). Needs the iterators of features.h.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "event.h"
#include "features.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "process_context.h"
#include "scratch.h"
#include "symbols.h"
#include "task.h"
#include "tls.h"
#include "trigger_thread.h"

/* Appends the context of the thread that triggered the exit, if both are known. */
__u64 append_thread_context(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct process_key key = key_of(READ(task, group_leader));
	struct trigger_thread *trigger = bpf_map_lookup_elem(&trigger_threads, &key);
	struct record *record = scratch(user);
	struct search *search = search_of(user);
	struct thread_context *context;
	__u64 *ids;

	if (!record || !search || !trigger || !trigger->thread_pointer || !has_task_vma_iterator())
		return at;
	/* Something else terminated it: a SIGKILL during the core dump, or another thread that was first. */
	if ((READ(task, signal, group_exit_code) & STATUS_SIGNAL) != trigger->signo)
		return at;
	search->thread_pointer = trigger->thread_pointer;
	search->vector_at = bpf_core_field_exists(((struct thread_struct___x86 *)0)->fsbase) ? 8 : 0;
	search->reads = 0;
	search->found = 0;
	if (!find_variable(user) || !read_limited(search, &search->next, 8, search->variable) || !search->next)
		return at;
	context = &search->context;
	ids = (__u64 *)context;
	if (!read_limited(search, context, sizeof(*context), search->next))
		return at;
	if (context->valid != 1 || !(ids[0] | ids[1]) || !ids[2])
		return at;
	return append(record, at, PART_THREAD_CONTEXT, context, sizeof(*context));
}

/* Appends the published context of the process and, with wants_thread_context, that of the thread. */
static __always_inline __u64 append_published(__u32 user, __u64 at)
{
	__u64 next = append_context(user, at);

	return wants_thread_context && next != at ? append_thread_context(user, next) : next;
}
