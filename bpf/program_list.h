/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PART_PROGRAMS: what the ancestors of current execute, and who executed it, from `programs`.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "paths.h"
#include "program_maps.h"
#include "programs.h"
#include "scratch.h"
#include "task.h"

/* Whether task, which has no entry, runs the program of its parent: it forked, and neither has executed since. */
static __always_inline bool runs_program_of_parent(struct task_struct *task)
{
	struct task_struct *parent = READ(task, real_parent, group_leader);

	return READ(task, flags) & PF_FORKNOEXEC && exec_id(task) == exec_id(parent) && READ(task, mm) &&
	       READ(task, mm, exe_file, f_inode) == READ(parent, mm, exe_file, f_inode);
}

/* What the process of this leader executed: as it runs, or ended lately. */
static __always_inline struct program *program_of(struct task_struct *leader)
{
	struct process_key key = key_of(leader);
	__u32 slot = key.pid & (ENDED_PROGRAMS - 1);
	struct program *program = find_program(&key);

	if (!program) {
		key = key_of(leader);
		program = bpf_map_lookup_elem(&ended_programs, &slot);
		if (!program || program->key.pid != key.pid ||
		    (program->key.start_boottime_ns != key.start_boottime_ns &&
		     program->key.start_boottime_ns != key.start_boottime_ns - key.start_boottime_ns % PROC_TICK_NS))
			return NULL;
	}
	/* An exec that the kernel did not show left the last program there. */
	return program->exec_id && program->exec_id != exec_id(leader) ? NULL : program;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_USERS);
	__type(key, __u32);
	__type(value, struct program_list);
} program_lists SEC(".maps");

/* Appends what a process executed to the list. Returns the bytes. */
static __always_inline __u64 copy_program(struct listed_program *out, const struct program *program)
{
	__u64 exe = program->exe_bytes, args = program->args_bytes;
	__u32 pid = program->key.pid;
	char *texts = (char *)(out + 1);

	if (exe > PROGRAM_EXE_BYTES || args > PROGRAM_ARGS_BYTES)
		return 0;
	barrier_var(exe); /* or the compiler moves the check, and the verifier of 6.1 loses the bound */
	exe &= 2 * PROGRAM_EXE_BYTES - 1;
	out->uid = program->uid;
	out->login_uid = program->credentials.login_uid;
	out->flags = program->flags & (PROGRAM_EXE_CUT | PROGRAM_ARGS_CUT);
	bpf_probe_read_kernel(texts, PROGRAM_EXE_BYTES, program->exe);
	bpf_probe_read_kernel(texts + exe, PROGRAM_ARGS_BYTES, program->args);
	barrier();
	if (program->key.pid != pid) /* it ended, and the element is another's: preallocated ones are used again at once */
		return 0;
	out->exe_bytes = exe;
	out->args_bytes = args;
	return exe + args;
}

/* The process that is next in the list of ancestors; NULL: there is none. */
static __always_inline struct task_struct *ancestor_after(struct task_struct *task)
{
	struct task_struct *parent = READ(task, real_parent, group_leader);

	return READ(parent, tgid) ? parent : NULL;
}

/* Lists the next ancestor. Returns 0 if there is none. */
__u64 list_program(__u32 user)
{
	struct program_list *list = bpf_map_lookup_elem(&program_lists, &user);
	struct listed_ancestor *ancestor;
	struct listed_program *out;
	struct task_struct *task;
	struct program *program;
	__u64 at, bytes = 0;

	if (!list)
		return 0;
	task = ancestor_after((void *)list->task);
	list->task = (__u64)task;
	ancestor = &list->of[list->ancestors++ & 7];
	ancestor->task = (__u64)task;
	if (!task)
		return 0;
	ancestor->start_boottime_ns = READ(task, start_boottime);
	ancestor->exec_id = exec_id(task); /* before its program is looked up: an exec meanwhile makes another list */
	at = list->bytes;
	if (at > (ANCESTORS_MAX - 1) * LISTED_BYTES_MAX)
		return 0;
	barrier_var(at);
	out = (struct listed_program *)(list->listed + (at & 2047));
	out->start_boottime_ns = ancestor->start_boottime_ns;
	out->exe_bytes = out->args_bytes = 0;
	out->uid = out->login_uid = UID_UNSET;
	program = program_of(task);
	if (program)
		bytes = copy_program(out, program);
	if (!bytes && !program && runs_program_of_parent(task))
		out->flags = PROGRAM_OF_PARENT;
	else if (!bytes) {
		out->flags = PROGRAM_UNKNOWN;
		list->is_complete = 0;
	}
	list->bytes = (at + sizeof(*out) + bytes + 7) & ~7ull;
	return 1;
}

/*
 * Whether the list is that of the ancestors of task. A program that is not known may be known later, as that of an exec that has not reached
 * the probe: such a list is not used again.
 */
static __always_inline bool has_list(const struct program_list *list, struct task_struct *task)
{
	if (!list->is_complete)
		return false;
	UNROLL
	for (int i = 0; i < ANCESTORS_MAX; i++) {
		const struct listed_ancestor *ancestor = &list->of[i];

		task = ancestor_after(task);
		if (ancestor->task != (__u64)task)
			return false;
		if (!task)
			return true;
		if (ancestor->start_boottime_ns != READ(task, start_boottime) || ancestor->exec_id != exec_id(task))
			return false;
	}
	return true;
}

/* Lists what the ancestors of current execute, in program_lists. Returns the bytes. */
__u64 list_programs(__u32 user)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct program_list *list = bpf_map_lookup_elem(&program_lists, &user);

	if (!list)
		return 0;
	task = READ(task, group_leader);
	if (has_list(list, task))
		return list->bytes;
	list->is_complete = 1;
	list->task = (__u64)task;
	list->ancestors = list->bytes = 0;
	UNROLL
	for (int i = 0; i < ANCESTORS_MAX; i++)
		if (!list_program(user))
			break;
	return list->bytes;
}

/* Appends PART_PROGRAMS, as in task_parts.h. */
__u64 append_programs(__u32 user, __u64 at)
{
	struct record *record = scratch(user);
	struct program_list *list = bpf_map_lookup_elem(&program_lists, &user);
	__u64 bytes = list_programs(user);

	return list ? append(record, at, PART_PROGRAMS, list->listed, bytes) : at;
}
