/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Restarts (docs/decisions/0033). A termination is kept for a minute under the name of the executable and its place: the cgroup,
 * and the parent. The next process that executes that name in that place, as the same real user or as root, is reported as a
 * restart. If no process terminated within the last minute, an exec costs the read of one variable. Names are cut, and a name is
 * not a path: the service compares the rest. If several equal processes terminated in one place, the last one is the predecessor.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "features.h"
#include "kernel.h"
#include "kernel_cgroups.h"
#include "load.h"
#include "maps.h"
#include "paths.h"
#include "program_list.h"
#include "ring.h"
#include "scratch.h"
#include "task.h"
#include "task_parts.h"

#define RESTART_WITHIN_NS 60000000000ull
/* Of one origin. In a storm, restarts are as frequent as terminations, and a record of each has no use. */
#define RESTARTS_PER_SECOND_MAX 50
/*
 * Terminations in a minute that terminated_programs keeps: so many of all origins, then so many of one and of one group (ring_shares.h).
 * Each takes two entries. Those beyond go to crowded_programs, where they displace each other, and no one else's.
 */
#define KEPT_OF_ALL_MAX (RECENT_TERMINATIONS_MAX / 8)
#define KEPT_OF_ORIGIN_MAX (RECENT_TERMINATIONS_MAX / 32)
#define KEPT_OF_GROUP_MAX (RECENT_TERMINATIONS_MAX / 16)
#define MINUTE_NS 60000000000ull

/* When the newest entry of terminated_programs expires, CLOCK_BOOTTIME; 0: there is none. */
static volatile __u64 restarts_until_ns;
/* A minute since boot, and the number of terminations kept in it. Two CPUs may miscount: it is a limit, not a sum. */
static volatile __u64 kept_minute;
static volatile __u64 kept_of_all;
/* As restarts_until_ns, for crowded_programs. */
static volatile __u64 crowded_until_ns;

/* Compares the length of the argument block, not its content: setproctitle(3) changes the content. 0: the exit has no mm. */
static __always_inline __u64 args_bytes_of(struct task_struct *task)
{
	struct mm_struct *mm = READ(task, mm);

	if (!mm || !has_group_dead())
		return 0;
	return READ(mm, arg_end) - READ(mm, arg_start);
}

/* False: the cgroup is a root, which does not identify a place. */
static __always_inline bool place_in_cgroup(struct restart_key *key, struct task_struct *task)
{
	struct cgroup *cgroup = cgroup_of(task);
	struct kernfs_node *above;

	__builtin_memset(&key->parent, 0, sizeof(key->parent));
	if (!below_root(cgroup))
		return false;
	/* A restart may come with a new cgroup of that name, but the one above stays: a slice, or the directory of a pod. */
	above = kernfs_parent(READ(cgroup, kn));
	key->cgroup_above = READ(above, id);
	return bpf_probe_read_kernel_str(key->cgroup, sizeof(key->cgroup), READ(cgroup, kn, name)) > 0;
}

/* The other key of the same process: the parent instead of the cgroup. */
static __always_inline void place_below_parent(struct restart_key *key, struct task_struct *leader)
{
	__builtin_memset(key->cgroup, 0, sizeof(key->cgroup));
	key->cgroup_above = 0;
	key->parent = key_of(READ(leader, real_parent, group_leader));
}

/* Of two users' terminations in one place, root's is kept, else the first: a user's does not hide that of a service. */
static __always_inline void keep_among(void *programs, const struct restart_key *key, const struct terminated_program *terminated)
{
	struct terminated_program *kept = terminated->real_uid ? bpf_map_lookup_elem(programs, key) : NULL;

	if (kept && terminated->real_uid != kept->real_uid &&
	    terminated->process.time_ns - kept->process.time_ns <= RESTART_WITHIN_NS)
		return;
	bpf_map_update_elem(programs, key, terminated, BPF_ANY);
}

static __always_inline void keep_in_place(bool crowded, const struct restart_key *key,
					  const struct terminated_program *terminated)
{
	if (!crowded) {
		keep_among(&terminated_programs, key, terminated);
		return;
	}
	keep_among(&crowded_programs, key, terminated);
	crowded_until_ns = terminated->process.time_ns + RESTART_WITHIN_NS;
}

/* Counts a termination. False: there are too many of this share in this minute. */
static __always_inline bool count_kept(struct ring_share *share, __u64 minute, __u64 max)
{
	if (share->kept_minute != minute) {
		share->kept_minute = minute;
		share->kept = 0;
	}
	return ++share->kept <= max;
}

/* Whether the origin terminated so often in this minute that the termination goes to crowded_programs. */
static __always_inline bool is_crowded(const struct event *event)
{
	__u64 minute = event->time_ns / MINUTE_NS;
	struct origin_share *own;
	struct ring_share *group;

	if (kept_minute != minute) {
		kept_minute = minute;
		kept_of_all = 0;
	}
	if (++kept_of_all <= KEPT_OF_ALL_MAX)
		return false;
	own = share_of_origin(&event->origin);
	group = share_of_group(&event->origin, false);
	return !own || !group || !count_kept(&own->share, minute, KEPT_OF_ORIGIN_MAX) ||
	       !count_kept(group, minute, KEPT_OF_GROUP_MAX);
}

/*
 * Keeps the termination of the process in the scratch record, whose PART_EXE is at `exe_at`: the first name there is that of the
 * file. Returns 0: global functions return numbers.
 */
__u64 keep_termination(__u64 exe_at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(SCRATCH_REPORT);
	const char *executable = part_at(record, exe_at);
	struct restart_key *key;
	struct terminated_program terminated = {};
	bool crowded;

	if (!record || !executable)
		return 0;
	key = &record->place;
	__builtin_memset(key, 0, sizeof(*key));
	terminated.process.key = record->event.key;
	terminated.process.time_ns = record->event.time_ns;
	terminated.real_uid = READ(task, cred, uid.val);
	if (bpf_probe_read_kernel_str(key->executable, sizeof(key->executable), executable) <= 1)
		return 0;
	key->args_bytes = args_bytes_of(task);
	crowded = is_crowded(&record->event);
	if (place_in_cgroup(key, task))
		keep_in_place(crowded, key, &terminated);
	place_below_parent(key, READ(task, group_leader));
	keep_in_place(crowded, key, &terminated);
	restarts_until_ns = terminated.process.time_ns + RESTART_WITHIN_NS;
	return 0;
}

/*
 * Removes the last termination in that place. False: there is none within RESTART_WITHIN_NS, or it was that of another user.
 * real_uid: who executes the program now. Root may restart what has given up root's rights since.
 */
static __always_inline bool take_from(void *programs, const struct restart_key *key, __u32 real_uid, struct predecessor *out,
				      __u64 now_ns)
{
	struct terminated_program *found = bpf_map_lookup_elem(programs, key);

	if (!found || (real_uid && real_uid != found->real_uid))
		return false;
	*out = found->process;
	bpf_map_delete_elem(programs, key);
	return now_ns - out->time_ns <= RESTART_WITHIN_NS;
}

static __always_inline bool take_predecessor(const struct restart_key *key, __u32 real_uid, struct predecessor *out, __u64 now_ns)
{
	return take_from(&terminated_programs, key, real_uid, out, now_ns) ||
	       (now_ns <= crowded_until_ns && take_from(&crowded_programs, key, real_uid, out, now_ns));
}

static __always_inline bool too_many_restarts(const struct event *event)
{
	__u64 second = event->time_ns / 1000000000;
	struct origin_share *own = share_of_origin(&event->origin);

	if (!own)
		return true;
	if (own->restarts_second != second) {
		own->restarts_second = second;
		own->restarts = 0;
	}
	return ++own->restarts > RESTARTS_PER_SECOND_MAX;
}

static __always_inline void report_restart(struct task_struct *task, struct task_struct *leader,
					   const struct predecessor *predecessor, __u64 now_ns)
{
	struct record *record = scratch(SCRATCH_RESTART);
	struct event *event;
	__u64 at;

	if (!record)
		return;
	event = &record->event;
	__builtin_memset(event, 0, sizeof(*event));
	fill_identity(SCRATCH_RESTART, event, task, leader, READ(task, signal));
	if (used_eighths_of_share(SCRATCH_RESTART) >= DETAILS_EIGHTHS_MAX)
		return;
	event->flags = EVENT_FLAG_RESTART;
	event->time_ns = now_ns;
	if (too_many_restarts(event))
		return;
	event->clock_offset_ns = clock_offset_at(now_ns);
	at = append(record, 0, PART_PREDECESSOR, predecessor, sizeof(*predecessor));
	at = append_exe(SCRATCH_RESTART, at);
	at = append_programs(SCRATCH_RESTART, append_ancestors(SCRATCH_RESTART, at));
	at = append_args(SCRATCH_RESTART, at);
	if (at <= sizeof(record->parts))
		submit_record(SCRATCH_RESTART, record, sizeof(*event) + at);
}

/* current executes a program: reports it if it is the restart of a recent termination. */
static __always_inline void on_exec(struct record *record, __u64 now_ns)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = READ(task, group_leader);
	struct predecessor predecessor, other;
	struct restart_key *key = &record->place;
	__u32 real_uid = READ(task, cred, uid.val);
	bool found;

	__builtin_memset(key, 0, sizeof(*key));
	if (bpf_probe_read_kernel_str(key->executable, sizeof(key->executable),
				      READ(task, mm, exe_file, f_path.dentry, d_name.name)) <= 1)
		return;
	key->args_bytes = args_bytes_of(task);
	found = place_in_cgroup(key, task) && take_predecessor(key, real_uid, &predecessor, now_ns);
	place_below_parent(key, leader);
	if (take_predecessor(key, real_uid, &other, now_ns) && !found) {
		predecessor = other;
		found = true;
	}
	if (found)
		report_restart(task, leader, &predecessor, now_ns);
}
