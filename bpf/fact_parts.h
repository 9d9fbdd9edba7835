/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Parts made from kept facts: signals, faults, senders, OOM sizes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "description.h"
#include "event.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "oom.h"
#include "ring.h"
#include "scratch.h"
#include "sender.h"
#include "sender_maps.h"
#include "signals.h"
#include "stop_maps.h"
#include "stops.h"

/* Appends a signal with the used part of its kernel stack. */
static __always_inline __u64 append_signal(struct record *record, __u64 at, enum part_kind kind, struct signal_fact *fact)
{
	__u64 frames = fact->stack_frames;

	if (!record || frames > STACK_FRAMES_MAX)
		return at;
	if (frames && record->used_eighths >= STACK_EIGHTHS_MAX) {
		frames = fact->stack_frames = 0;
		record->event.flags |= EVENT_FLAG_SHRUNK;
	}
	return append(record, at, kind, fact, sizeof(*fact) - sizeof(fact->stack) + frames * sizeof(fact->stack[0]));
}

/* Copies the description in a slot of sender_parts. Returns whether there is one. */
static __always_inline bool copy_from_slot(char *out, const struct process_key *victim, __u32 slot)
{
	struct sender_part_key key = {.start_boottime_ns = victim->start_boottime_ns, .pid = victim->pid, .slot = slot};

	UNROLL
	for (__u32 i = 0; i < SENDER_PARTS; i++) {
		struct sender_part *part;

		key.part = i;
		part = bpf_map_lookup_elem(&sender_parts, &key);
		if (!part)
			return i > 0;
		bpf_probe_read_kernel(out + i * SENDER_PART_BYTES, SENDER_PART_BYTES, part);
	}
	return true;
}

/* Copies what is known of a sender that no victim kept. Returns whether it still is that sender's. */
static __always_inline bool copy_known(char *out, const struct signal_fact *fact)
{
	struct sender_key key = {.process = fact->sender, .exec_id = fact->sender_exec_id, .uid = fact->sender_uid};
	struct known_sender *known = bpf_map_lookup_elem(&sender_descriptions, &key);

	if (!known)
		return false;
	bpf_probe_read_kernel(out, sizeof(known->description), &known->description);
	return is_same_sender(&known->key, &key);
}

/* Appends the description of another process that sent the signal. */
static __always_inline __u64 append_sender(struct record *record, __u64 at, enum part_kind kind, const struct signal_fact *fact)
{
	struct description *out = (void *)part_at(record, at);
	__u64 bytes;

	if (!out || !fact->signo || !is_described(fact) || fact->sender.pid == record->event.key.pid)
		return at;
	if (fact->sender_slot ? !copy_from_slot((char *)out, &record->event.key, fact->sender_slot)
			      : !copy_known((char *)out, fact))
		return at;
	if (record->used_eighths >= PROGRAMS_EIGHTHS_MAX)
		out->programs_bytes = out->env_bytes = 0; /* the last texts */
	bytes = text_bytes(out);
	if (bytes > sizeof(out->data))
		return at;
	return end_part(record, at, kind, sizeof(*out) - sizeof(out->data) + bytes);
}

static __always_inline struct pending_facts *record_facts(const struct record *record)
{
	return record ? bpf_map_lookup_elem(&pending_facts, &record->event.key) : NULL;
}

/* Appends the last stop, if it took effect. */
static __always_inline __u64 append_stop(struct record *record, __u64 at, struct pending_facts *facts)
{
	struct stop *stop = stop_of(facts);

	if (!stop || !took_effect(stop, facts, (void *)bpf_get_current_task()))
		return at;
	stop->effective = true;
	return append(record, at, PART_STOP, stop, sizeof(*stop));
}

__u64 append_pending_facts(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct pending_facts *facts = record_facts(record);

	if (!facts)
		return at;
	record->event.threads = facts->threads;
	if (facts->signal.signo)
		at = append_signal(record, at, PART_SIGNAL, &facts->signal);
	if (facts->request.signo)
		at = append_signal(record, at, PART_REQUEST, &facts->request);
	if (facts->holds.stop)
		at = append_stop(record, at, facts);
	if (facts->fault.signo)
		at = append(record, at, PART_FAULT, &facts->fault, sizeof(facts->fault));
	if (facts->handled_fault.signo)
		at = append(record, at, PART_HANDLED_FAULT, &facts->handled_fault, sizeof(facts->handled_fault));
	return at;
}

/* Without the unused end of the cgroup. */
#define OOM_BYTES(oom) (sizeof(*(oom)) - sizeof((oom)->cgroup) + ((oom)->cgroup_bytes & (PATH_BYTES_MAX - 1)))

/* If the victim exits on another CPU before mark_victim fires (docs/kernel-facts.md, section 4), its own mm has the sizes. */
__u64 append_oom(__u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct record *record = scratch(SCRATCH_REPORT);
	char *out = part_at(record, at);
	struct oom *oom;

	if (!out)
		return at;
	oom = bpf_map_lookup_elem(&oom_victims, &record->event.key);
	if (oom)
		return append(record, at, PART_OOM, oom, OOM_BYTES(oom));
	if (!mm)
		return at;
	oom = (struct oom *)out;
	read_oom(oom, task, mm, record->directories);
	return end_part(record, at, PART_OOM, OOM_BYTES(oom));
}

/* A SIGKILL from the kernel: perhaps of an OOM victim that is not marked yet. The service decides that by the kernel stack. */
static __always_inline bool may_be_oom_victim(const struct pending_facts *facts)
{
	return facts && facts->signal.signo == SIGKILL && facts->signal.committed && facts->signal.siginfo == SIGINFO_PRIV;
}

__u64 append_senders(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct pending_facts *facts = record_facts(record);
	struct stop *stop;

	if (!facts)
		return at;
	at = append_sender(record, at, PART_SIGNAL_SENDER, &facts->signal);
	at = append_sender(record, at, PART_REQUEST_SENDER, &facts->request);
	stop = stop_of(facts);
	return stop && stop->effective ? append_sender(record, at, PART_STOP_SENDER, signal_of(stop)) : at;
}
