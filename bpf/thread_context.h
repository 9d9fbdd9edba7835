/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PART_THREAD_CONTEXT, PART_THREAD_ATTRIBUTES: the active span of the thread that triggered the exit, and its attributes, as that
 * thread publishes them (OpenTelemetry's OTEP 4947): the thread-local variable otel_thread_ctx_v1 points to a record. All threads share the memory, and no thread writes to
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

/*
 * Appends the attributes of the record of which `size_at` is the size of the attributes. They follow it. What is beyond
 * THREAD_ATTRIBUTES_BYTES_MAX is left out.
 */
__u64 append_thread_attributes(__u32 user, __u64 at, __u64 size_at)
{
	struct record *record = scratch(user);
	struct search *search = search_of(user);
	char *out = part_at(record, at);
	__u16 size = 0;
	__u64 bytes;

	if (!record || !out || !search || !read_limited(search, &size, sizeof(size), size_at))
		return at;
	bytes = size;
	barrier_var(bytes); /* or the limit is tested in another register, and older verifiers do not know it of this one */
	if (bytes > THREAD_ATTRIBUTES_BYTES_MAX)
		bytes = THREAD_ATTRIBUTES_BYTES_MAX;
	if (!bytes || !read_limited(search, out, bytes, size_at + sizeof(size)))
		return at;
	return end_part(record, at, PART_THREAD_ATTRIBUTES, bytes);
}

/* Appends the context of the thread that triggered the exit, if both are known. */
__u64 append_thread_context(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct process_key key = key_of(READ(task, group_leader));
	struct trigger_thread *trigger = bpf_map_lookup_elem(&trigger_threads, &key);
	struct record *record = scratch(user);
	struct search *search = search_of(user);
	struct thread_context *context;
	__u64 *ids, next;

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
	next = append(record, at, PART_THREAD_CONTEXT, context, sizeof(*context));
	return next == at ? at : append_thread_attributes(user, next, search->next + sizeof(*context));
}

/* Appends the published context of the process and, with wants_thread_context, that of the thread. */
static __always_inline __u64 append_published(__u32 user, __u64 at)
{
	__u64 next = append_context(user, at);

	return wants_thread_context && next != at ? append_thread_context(user, next) : next;
}
