/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Entries of `programs` (docs/decisions/0091): one is made by an exec and deleted by the exit. Room is shared by origins, as that of
 * pending_facts.h is. The slot that each exit reads anyway has a bit for each of its pids: exits of children that only forked do not search.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "event.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "maps.h"
#include "origin.h"
#include "paths.h"
#include "pending_facts.h"
#include "program_maps.h"
#include "scratch.h"
#include "task.h"

/*
 * A program under construction. exe, its last field, has room for a whole path there; to the verifiers of 5.10 and 6.1, args needs room for
 * the two copies of copy_user().
 */
struct program_scratch {
	struct program program;
	char slack[2 * COPY_BYTES];
	struct tool_name tool;
	__u32 tool_kind; /* 0: the program is no tool */
	__u32 is_script;
	__u64 filename; /* of the exec, kernel memory */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct program_scratch);
} program_scratch SEC(".maps");

static __always_inline struct program_scratch *the_program(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&program_scratch, &zero);
}

/* Describes what current has just executed. Returns 0: global functions return numbers. */
__u64 describe_program(__u32 flags)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct fs_struct *fs = READ(task, fs);
	struct program_scratch *scratch = the_program();
	struct program *program;
	__u64 bytes;

	if (!scratch || !mm)
		return 0;
	program = &scratch->program;
	program->key = key_of(READ(task, group_leader));
	program->exec_id = exec_id(task);
	program->uid = READ(task, cred, euid.val);
	read_credentials(&program->credentials, task);
	bytes = fs ? read_path(program->exe, &READ(mm, exe_file)->f_path, &fs->root) : 0; /* 0: not found without BTF */
	if (bytes & TRUNCATED)
		flags |= PROGRAM_EXE_CUT;
	if (!(bytes & (TRUNCATED | OUTSIDE_ROOT)))
		flags |= PROGRAM_EXE_IN_ROOT;
	bytes &= ~(TRUNCATED | OUTSIDE_ROOT);
	if (bytes > PROGRAM_EXE_BYTES) {
		bytes = PROGRAM_EXE_BYTES;
		flags |= PROGRAM_EXE_CUT;
	}
	program->exe_bytes = bytes;
	bytes = read_args(program->args, mm, PROGRAM_ARGS_BYTES);
	if (bytes & TRUNCATED)
		flags |= PROGRAM_ARGS_CUT;
	program->args_bytes = bytes & ~TRUNCATED;
	program->flags = flags;
	return 0;
}

/* index: of shares; 0: the sum alone. */
static __always_inline void count_programs(__u32 index, __s32 programs)
{
	struct share *share = share_at(index), *all = share_at(0);

	if (!share || !all)
		return;
	if (index)
		__sync_fetch_and_add(&share->programs, programs);
	__sync_fetch_and_add(&all->programs, programs);
}

static __always_inline void count_unknown_program(void)
{
	__u32 zero = 0;
	struct program_counters *counters = bpf_map_lookup_elem(&program_counts, &zero);

	if (counters)
		counters->unknown++;
}

/* Adds the entry of current, which has none, if there is room. Returns whether it did. */
static __always_inline bool add_program(struct program *program, struct task_struct *task)
{
	struct origin origin = origin_of(SCRATCH_RESTART, task);
	__u32 index = share_of(&origin), *slot = pending_count_of(program->key.pid);
	struct share *share = share_at(index), *all = share_at(0);

	if (!share || !all || !slot)
		return false;
	program->share = index;
	if (!own_slot_of(program->key.pid) || !has_room(share->programs, all->programs, PROGRAMS_MAX, FACT_COMMITS) ||
	    bpf_map_update_elem(&programs, &program->key, program, BPF_NOEXIST)) {
		count_unknown_program();
		return false;
	}
	count_programs(index, 1);
	__sync_fetch_and_add(slot, program_bit(program->key.pid));
	return true;
}

/* The entry of a process. Sets the key to that of the entry. */
static __always_inline struct program *find_program(struct process_key *key)
{
	__u32 *slot = pending_count_of(key->pid);
	struct program *program;

	if (!slot || !(*slot & program_bit(key->pid)))
		return NULL;
	program = bpf_map_lookup_elem(&programs, key);
	if (program)
		return program;
	key->start_boottime_ns -= key->start_boottime_ns % PROC_TICK_NS;
	return bpf_map_lookup_elem(&programs, key);
}

/*
 * Keeps what current executed. No other thread of it is there, and it cannot exit meanwhile. Returns 0 if the other set of probes already
 * did, while two are attached.
 */
__u64 keep_program(__u32 flags)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct program_scratch *scratch = the_program();
	struct process_key key = key_of(READ(task, group_leader));
	struct program *known = find_program(&key);

	if (!scratch)
		return 0;
	if (known && known->exec_id == exec_id(task))
		return 0;
	describe_program(flags | (known ? known->flags & PROGRAM_ASKS : 0));
	if (!known) {
		add_program(&scratch->program, task);
		return 1;
	}
	scratch->program.key = key;
	scratch->program.share = known->share;
	bpf_map_update_elem(&programs, &key, &scratch->program, BPF_EXIST);
	return 1;
}

/*
 * Whether another process may still find that of current, which exits, among its ancestors: exit_notify() gives the children of each thread
 * to another one, or to another process, and comes after the tracepoint.
 */
static __always_inline bool may_have_children(struct task_struct *task)
{
	struct list_head *children = (void *)task + bpf_core_field_offset(struct task_struct, children);

	return READ(task, signal, nr_threads) > 1 || READ(task, children.next) != children;
}

/* Deletes the entry of the process of current. Returns its flags, | PROGRAM_RUNS; 0: there was none, or another program was faster. */
__u64 drop_program(__u64 start_boottime_ns, __u32 pid)
{
	struct process_key key = {.start_boottime_ns = start_boottime_ns, .pid = pid};
	struct program *known = find_program(&key);
	__u32 *slot = pending_count_of(pid), ended = pid & (ENDED_PROGRAMS - 1), index;
	struct share *all = share_at(0);
	__u64 flags;

	if (!known || !slot || !all)
		return 0;
	flags = known->flags | PROGRAM_RUNS;
	index = known->share;
	if (may_have_children((void *)bpf_get_current_task()))
		bpf_map_update_elem(&ended_programs, &ended, known, BPF_ANY);
	if (bpf_map_delete_elem(&programs, &key))
		return 0;
	count_programs(index, -1);
	__sync_fetch_and_add(slot, -program_bit(pid));
	return flags;
}
