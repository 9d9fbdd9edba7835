/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Descriptions of senders: executable, cgroup, arguments, ancestors. They are taken when a signal is generated, as a sender may
 * exit before its victim does. One that sends many signals is described once (docs/decisions/0005), and each victim keeps a copy
 * until its end (docs/decisions/0068).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "description.h"
#include "environment.h"
#include "event.h"
#include "executable.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "maps.h"
#include "paths.h"
#include "pending_facts.h"
#include "program_list.h"
#include "scratch.h"
#include "sender_maps.h"
#include "task.h"

#define SENDER_VALID_NS 1000000000

/* Describes task, which is current, all but its users: user memory is read. */
static __always_inline void describe_task(struct description *out, struct task_struct *task, __u64 now_ns, __u64 *directories)
{
	struct mm_struct *mm = READ(task, mm);
	struct fs_struct *fs = READ(task, fs);
	__u64 exe = 0, cgroup, args = 0, end;

	out->exe_flags = out->programs_bytes = out->env_bytes = 0;
	out->exe_inode = out->exe_device = 0;
	if (mm && fs) {
		struct inode *inode = READ(mm, exe_file, f_inode);

		out->exe_inode = READ(inode, i_ino);
		out->exe_device = READ(inode, i_sb, s_dev);
		exe = read_path(out->data, &READ(mm, exe_file)->f_path, &fs->root);
		out->exe_flags = exe_flags(exe) | (exe & TRUNCATED ? PART_FLAG_TRUNCATED : 0);
		exe &= ~(TRUNCATED | OUTSIDE_ROOT);
	}
	if (exe > PATH_BYTES_MAX)
		exe = 0;
	cgroup = read_cgroup_path(out->data + exe, cgroup_of(task), directories) & ~TRUNCATED;
	if (cgroup > PATH_BYTES_MAX)
		cgroup = 0;
	if (mm)
		args = read_args(out->data + exe + cgroup, mm, SENDER_ARGS_BYTES_MAX);
	out->time_ns = now_ns;
	out->exe_bytes = exe;
	out->cgroup_bytes = cgroup;
	out->args_bytes = args & ~TRUNCATED;
	out->args_truncated = args != out->args_bytes;
	end = exe + cgroup + out->args_bytes;
	barrier_var(end);
	out->hostname_bytes = end > sizeof(out->data) - HOSTNAME_BYTES_MAX ? 0 : read_hostname(out->data + end, task);
	out->ancestors_count = read_ancestors(out->ancestors, task);
}

/* The used part of its data. */
static __always_inline __u64 text_bytes(const struct description *description)
{
	return (__u64)description->exe_bytes + description->cgroup_bytes + description->args_bytes + description->hostname_bytes +
	       description->programs_bytes + description->env_bytes;
}

/* The used part of a description. */
static __always_inline __u64 description_bytes(const struct description *description)
{
	__u64 bytes = text_bytes(description);

	if (bytes > sizeof(description->data))
		bytes = sizeof(description->data);
	return offsetof(struct description, data) + bytes;
}

/* Adds to the description in sender_scratch what is in kernel memory, if there is room. Returns the bytes that were added. */
static __always_inline __u64 add_to_description(struct description_scratch *scratch, const void *from, __u64 bytes)
{
	__u64 used = description_bytes(&scratch->known.description) - offsetof(struct description, data);
	char *out;

	if (bytes > sizeof(scratch->known.description.data) - used)
		return 0;
	/* As in end_part_flagged(): verifiers lose the bounds of what was spilled since it was checked. */
	barrier_var(used);
	out = scratch->known.description.data + (used & 4095);
	barrier_var(bytes);
	if (bytes > ANCESTORS_MAX * LISTED_BYTES_MAX)
		return 0;
	bpf_probe_read_kernel(out, bytes, from);
	return bytes;
}

/* Adds what the ancestors of current execute, and its environment, to the description in sender_scratch. */
static __always_inline void describe_origin(struct description_scratch *described)
{
	__u32 user = SCRATCH_SIGNAL;
	struct program_list *list = bpf_map_lookup_elem(&program_lists, &user);
	struct record *record = scratch(SCRATCH_SIGNAL);
	struct part *part;
	__u64 bytes;

	if (!list || !record)
		return;
	bytes = list_programs(SCRATCH_SIGNAL);
	described->known.description.programs_bytes = add_to_description(described, list->listed, bytes);
	part = (struct part *)record->parts;
	part->bytes = 0;
	append_env(SCRATCH_SIGNAL, 0);
	described->known.description.env_bytes = add_to_description(described, part + 1, part->bytes);
}

/* Compared after copying: an LRU gives an element to another sender at any time. */
static __always_inline bool is_same_sender(const struct sender_key *a, const struct sender_key *b)
{
	return a->process.start_boottime_ns == b->process.start_boottime_ns && a->process.pid == b->process.pid &&
	       a->exec_id == b->exec_id && a->uid == b->uid;
}

/* Whether what is known still describes current: not for longer than a second, as it may change its name, nor with other users. */
static __always_inline bool is_valid(const struct description *known, const struct credentials *users, __u64 now_ns)
{
	return now_ns - known->time_ns < SENDER_VALID_NS && known->credentials.real_uid == users->real_uid &&
	       known->credentials.login_uid == users->login_uid && known->credentials.session == users->session;
}

/*
 * Describes current in sender_scratch, for the sender whose key is there: what is there if it is of the same sender, as of one that
 * signals many processes, else as it is known, else anew. Each effective user of a sender has its own description.
 */
static __always_inline void describe_sender(struct description_scratch *scratch, __u64 now_ns)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct known_sender *known;
	struct credentials users;

	read_credentials(&users, task);
	if (is_same_sender(&scratch->known.key, &scratch->sender) && is_valid(&scratch->known.description, &users, now_ns))
		return;
	scratch->known.key = scratch->sender;
	known = bpf_map_lookup_elem(&sender_descriptions, &scratch->sender);
	if (known && is_valid(&known->description, &users, now_ns)) {
		bpf_probe_read_kernel(&scratch->known.description, description_bytes(&known->description), &known->description);
		if (is_same_sender(&known->key, &scratch->sender))
			return;
	}
	scratch->known.description.credentials = users;
	describe_task(&scratch->known.description, task, now_ns, scratch->directories);
	describe_origin(scratch);
	bpf_map_update_elem(&sender_descriptions, &scratch->sender, &scratch->known, BPF_ANY);
}

/*
 * Keeps the description of current with the victim whose slot is in sender_scratch: its first parts, as far as there is room, and deletes
 * the others. A global function, as in task_parts.h. Returns the parts that the slot has now.
 */
__u64 keep_description(__u64 now_ns)
{
	__u32 zero = 0;
	struct description_scratch *scratch = bpf_map_lookup_elem(&sender_scratch, &zero);
	struct share *share, *all = share_at(0);
	struct sender_part_key key;
	__u64 parts, kept;

	if (!scratch)
		return 0;
	describe_sender(scratch, now_ns);
	parts = (description_bytes(&scratch->known.description) + SENDER_PART_BYTES - 1) / SENDER_PART_BYTES;
	share = share_at(scratch->share);
	if (!scratch->share || !share || !all ||
	    !has_room(share->sender_parts + parts, all->sender_parts, SENDER_PARTS_MAX, scratch->kind))
		parts = 0;
	kept = parts;
	key = scratch->slot;
	UNROLL
	for (__u32 i = 0; i < SENDER_PARTS; i++) {
		key.part = i;
		if (i < parts && bpf_map_update_elem(&sender_parts, &key,
						     (char *)&scratch->known.description + i * SENDER_PART_BYTES, BPF_ANY))
			kept = 0;
	}
	delete_sender_parts(&key, kept, scratch->held > parts ? scratch->held : parts);
	return kept;
}

/*
 * Keeps the description of current, the sender of fact, with the victim in this slot. Without room, it is only among sender_descriptions,
 * until others displace it there.
 */
static __always_inline void keep_sender(struct pending_facts *facts, const struct process_key *victim, struct signal_fact *fact,
					__u32 slot, enum fact_kind kind)
{
	__u32 zero = 0;
	struct description_scratch *scratch = bpf_map_lookup_elem(&sender_scratch, &zero);
	__u32 before = parts_held(&facts->holds, slot), parts;

	if (!scratch)
		return;
	scratch->slot.start_boottime_ns = victim->start_boottime_ns;
	scratch->slot.pid = victim->pid;
	scratch->slot.slot = slot;
	scratch->share = facts->holds.share;
	scratch->kind = kind;
	scratch->held = before;
	scratch->sender.process = fact->sender;
	scratch->sender.exec_id = fact->sender_exec_id;
	scratch->sender.uid = fact->sender_uid;
	parts = keep_description(fact->time_ns);
	if (parts)
		fact->sender_slot = slot;
	set_parts_held(&facts->holds, slot, parts);
	count_held(facts->holds.share, 0, (__s32)parts - (__s32)before);
}
