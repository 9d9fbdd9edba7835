/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Repeats (docs/decisions/0065): equal terminations that the service needs only as a number. The service arms the key of one of
 * them; until that ends, further ones are counted here instead of being handed over. What another process or the kernel caused is
 * still handed over while the reserve of its origin has room. The probes only look keys up: the loader adds and deletes them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "description.h"
#include "environment.h"
#include "event.h"
#include "fact_parts.h"
#include "kernel.h"
#include "kernel_cgroups.h"
#include "kernel_files.h"
#include "kept_program.h"
#include "load.h"
#include "maps.h"
#include "mm_snapshot.h"
#include "origin.h"
#include "paths.h"
#include "process_context.h"
#include "repeat_key.h"
#include "repeat_maps.h"
#include "restart.h"
#include "scratch.h"
#include "task.h"

/* Records in this time by which an origin may exceed its armed keys. */
#define RESERVE_RECORDS 1024
#define RESERVE_NS 60000000000ull

#define MARK_EVERY_NS 50000000
#define REPEAT_NO_KEY 0 /* the element of repeat_totals for all keys */
#define REPEAT_CAUSED (REPEAT_OOM | REPEAT_FAULT | REPEAT_BY_ANOTHER)

/*
 * Sets the claims of the scratch record's key from what append_context() and append_env() found. The context's part lies between
 * the first two. Returns 0: global functions return numbers.
 */
__u64 set_claims(__u64 context, __u64 context_end)
{
	struct record *record = scratch(SCRATCH_REPORT);
	const struct part *part;

	if (!record || context > PARTS_BYTES_MAX)
		return 0;
	barrier_var(context);
	part = (const struct part *)(record->parts + context);
	record->repeat.claims = record->environment.claims;
	if (context_end != context && record->repeat.claims != CLAIMS_UNKNOWN)
		record->repeat.claims += hash_text(SCRATCH_REPORT, context, 0, part->bytes);
	return 0;
}

/* Reads the claims of current. The parts are built in the scratch record at `at`, but not kept. */
__u64 read_claims(__u64 at)
{
	__u64 context_end = append_context(SCRATCH_REPORT, at);

	append_env(SCRATCH_REPORT, context_end);
	return set_claims(at, context_end);
}

/* As read_claims(), but only once for all children of a program that do not execute another one: they share its environment. */
static __always_inline void find_claims(struct record *record, struct task_struct *task, struct task_struct *leader)
{
	struct process_key parent = key_of(READ(leader, real_parent, group_leader));
	__u64 id = exec_id(leader), env_start = READ(task, mm, env_start);
	__u32 slot = parent.pid & (IMAGE_SLOTS - 1);
	struct image *image = bpf_map_lookup_elem(&images, &slot);
	bool is_child = image && READ(leader, flags) & PF_FORKNOEXEC;

	if (is_child && image->parent.pid == parent.pid && image->parent.start_boottime_ns == parent.start_boottime_ns &&
	    image->exec_id == id && image->env_start == env_start) {
		record->repeat.claims = image->claims;
		return;
	}
	read_claims(0);
	if (!is_child)
		return;
	image->parent = parent;
	image->exec_id = id;
	image->env_start = env_start;
	image->claims = record->repeat.claims;
}

/* The signal of the status, else the last request that the process did not terminate by; NULL: there is neither. */
static __always_inline const struct signal_fact *cause_of(const struct pending_facts *facts, __u32 status)
{
	if (status & STATUS_SIGNAL && facts->signal.signo == (status & STATUS_SIGNAL))
		return &facts->signal;
	if (facts->request.signo)
		return &facts->request;
	return facts->signal.signo ? &facts->signal : NULL;
}

/* The beginning of a sender's description, at least up to its executable: its first part, or what is known of it. */
static __always_inline const struct description *description_of(const struct process_key *victim, const struct signal_fact *fact)
{
	struct sender_part_key slot = {
		.start_boottime_ns = victim->start_boottime_ns, .pid = victim->pid, .slot = fact->sender_slot};
	struct sender_key sender = {.process = fact->sender, .exec_id = fact->sender_exec_id, .uid = fact->sender_uid};
	const struct known_sender *known;

	if (fact->sender_slot)
		return bpf_map_lookup_elem(&sender_parts, &slot);
	known = bpf_map_lookup_elem(&sender_descriptions, &sender);
	return known ? &known->description : NULL;
}
_Static_assert(offsetof(struct description, data) <= SENDER_PART_BYTES, "the first part has all but texts");

static __always_inline void set_cause(struct repeat_key *key, const struct signal_fact *fact, const struct process_key *victim)
{
	const struct description *description;

	key->code = fact->code;
	if (fact->sender.pid == victim->pid && fact->code != SI_KERNEL)
		return;
	key->flags |= REPEAT_BY_ANOTHER;
	if (fact->code == SI_KERNEL)
		return;
	description = description_of(victim, fact);
	if (!description)
		return;
	key->sender_inode = description->exe_inode;
	key->sender_device = description->exe_device;
}

/* Fills in the key of current in the scratch record, whose event has its identity, time and status, but for the claims. */
__u64 fill_repeat_key(__u64 has_facts)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = READ(task, group_leader);
	struct cgroup *cgroup = cgroup_of(task);
	struct record *record = scratch(SCRATCH_REPORT);
	const struct pending_facts *facts;
	const struct signal_fact *cause = NULL;
	struct repeat_key *key;
	struct inode *inode;

	if (!record)
		return 0;
	key = &record->repeat;
	__builtin_memset(key, 0, sizeof(*key));
	key->origin = record->event.origin;
	key->cgroup = READ(cgroup, kn, id);
	key->uid = READ(task, cred, euid.val);
	key->status_raw = record->event.status_raw;
	inode = READ(task, mm, exe_file, f_inode);
	if (inode) {
		key->executable_inode = READ(inode, i_ino);
		key->executable_device = READ(inode, i_sb, s_dev);
	} else {
		key->flags |= REPEAT_NO_MM;
		bpf_core_read(&key->comm, sizeof(key->comm), &leader->comm);
	}
	if (in_user_namespace(task))
		key->flags |= REPEAT_USER_NAMESPACE;
	if (READ(task, signal, oom_mm))
		key->flags |= REPEAT_OOM;
	if (record->event.time_ns - record->event.key.start_boottime_ns > REPEAT_LONG_LIVED_NS)
		key->flags |= REPEAT_LONG_LIVED;
	facts = has_facts ? record_facts(record) : NULL;
	if (facts) {
		if (facts->fault.signo || facts->handled_fault.signo)
			key->flags |= REPEAT_FAULT;
		cause = cause_of(facts, key->status_raw);
	}
	if (cause)
		set_cause(key, cause, &record->event.key);
	else if (key->status_raw & STATUS_SIGNAL)
		key->flags |= REPEAT_BY_ANOTHER; /* no probe saw it sent */
	return 0;
}

/* Takes a record from the reserve of an origin. False: there is none left. Two CPUs may miscount: it is a limit, not a sum. */
static __always_inline bool take_reserve(__u32 index, __u64 now_ns)
{
	struct repeat_reserve *reserve = bpf_map_lookup_elem(&repeat_reserves, &index);

	if (!reserve)
		return true;
	if (now_ns - reserve->since_ns > RESERVE_NS) {
		reserve->since_ns = now_ns;
		reserve->used = 0;
	}
	if (reserve->used >= RESERVE_RECORDS)
		return false;
	reserve->used++;
	return true;
}

/* The times are those of either, if two CPUs count the first or the last one at the same time. */
static __always_inline void add_repeat(struct repeat_total *total, __u64 now_ns)
{
	if (!total->first_ns || now_ns < total->first_ns)
		total->first_ns = now_ns;
	if (now_ns > total->last_ns)
		total->last_ns = now_ns;
	__sync_fetch_and_add(&total->count, 1);
}

/*
 * Leaves the mark for a restart (restart.h), as report() does: the first text of the part at 0 is the name of the executable. In a
 * storm, one in MARK_EVERY_NS: none of them has a record, so it does not matter which of them is restarted, and a restart costs the
 * service a hundred times as much as the termination.
 */
static __always_inline void mark_terminated(struct record *record, struct task_struct *task, struct repeat_total *total)
{
	char *name = part_at(record, 0);

	if (record->event.time_ns - total->marked_ns < MARK_EVERY_NS)
		return;
	total->marked_ns = record->event.time_ns;
	if (READ(task, mm)) {
		if (name &&
		    bpf_probe_read_kernel_str(name, EXECUTABLE_BYTES, READ(task, mm, exe_file, f_path.dentry, d_name.name)) > 1)
			keep_termination(0);
	} else if (append_kept_exe(0)) {
		keep_termination(0);
	}
}

/*
 * task is current, and its process terminates with this status. True: it is counted under its armed key. False: it needs a record.
 * While no key is armed this costs a look at one element.
 */
static __always_inline bool count_repeat(struct task_struct *task, struct task_struct *leader, __u32 status, bool has_facts,
					 __u64 now_ns)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct repeat_total *all, *total;
	struct repeat_place *place;
	__u32 index = REPEAT_NO_KEY;

	if (!record)
		return false;
	record->has_repeat_key = false;
	all = bpf_map_lookup_elem(&repeat_totals, &index);
	if (!all || now_ns >= all->until_ns)
		return false;
	record->event.key = key_of(leader);
	record->event.time_ns = now_ns;
	record->event.status_raw = status;
	record->event.origin = origin_of(SCRATCH_REPORT, task);
	fill_repeat_key(has_facts);
	if (READ(task, mm))
		find_claims(record, task, leader);
	record->has_repeat_key = true;

	place = bpf_map_lookup_elem(&repeats, &record->repeat);
	if (!place)
		return false;
	index = place->total;
	total = bpf_map_lookup_elem(&repeat_totals, &index);
	if (!total || now_ns >= total->until_ns)
		return false;
	/* With code 0, it stopped gracefully: the reserve is for what failed. */
	if (status && record->repeat.flags & REPEAT_CAUSED && take_reserve(place->reserve, now_ns))
		return false;
	add_repeat(total, now_ns);
	add_repeat(all, now_ns);
	mark_terminated(record, task, total);
	if (record->repeat.flags & REPEAT_NO_MM)
		bpf_map_delete_elem(&mm_snapshots, &record->event.key);
	return true;
}

__u64 append_repeat_key(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct repeat_key *out = (void *)part_at(record, at);

	if (!out)
		return at;
	*out = record->repeat;
	return end_part(record, at, PART_REPEAT_KEY, sizeof(*out));
}
