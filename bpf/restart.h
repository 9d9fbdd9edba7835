/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Who is started again where it died. For a minute, a death leaves the name of its executable and of its place, its cgroup and its parent;
 * whoever executes that name there is reported as its restart. While nobody has died for a minute, an exec costs a look at one number.
 * Names are cut, and a name is no path: the service compares the rest (src/core/restart.ts). Of several that died alike in one place
 * before one was started again, the last one is meant.
 */
#pragma once

#define RESTART_WITHIN_NS 60000000000ull
/* In a storm, restarts are as many as deaths, and nobody is helped by each. */
#define RESTARTS_A_SECOND_MAX 100

/* When the last of them is to be forgotten, CLOCK_BOOTTIME. */
static volatile __u64 restarts_until_ns;
/* Which second, since boot, and how many were reported in it. Two processors may count wrongly; it is a limit, not a sum. */
static volatile __u64 restarts_second;
static volatile __u32 restarts_count;

/* Also of whoever has written a title over them. */
static __always_inline __u64 args_bytes_of(struct task_struct *task)
{
	struct mm_struct *mm = READ(task, mm);

	if (!mm || !tells_last_thread())
		return 0;
	return READ(mm, arg_end) - READ(mm, arg_start);
}

/* False: the cgroup is a root, which says nothing of who is in it. */
static __always_inline bool place_in_cgroup(struct restart_key *key, struct task_struct *task)
{
	struct cgroup *cgroup = cgroup_of(task);

	__builtin_memset(&key->parent, 0, sizeof(key->parent));
	return below_root(cgroup) && bpf_probe_read_kernel_str(key->cgroup, sizeof(key->cgroup), READ(cgroup, kn, name)) > 0;
}

static __always_inline void place_below_parent(struct restart_key *key, struct task_struct *leader)
{
	__builtin_memset(key->cgroup, 0, sizeof(key->cgroup));
	key->parent = key_of(READ(leader, real_parent, group_leader));
}

/* Of a process whose record has its executable at `exe_at`: its name is the first of that part. Returns 0, as global functions return numbers. */
__u64 remember_dead(__u64 exe_at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(SCRATCH_REPORT);
	const char *executable = part_at(record, exe_at);
	struct restart_key *key;
	struct dead dead = {};

	if (!record || !executable)
		return 0;
	key = &record->place;
	__builtin_memset(key, 0, sizeof(*key));
	dead.key = record->event.key;
	dead.time_ns = record->event.time_ns;
	if (bpf_probe_read_kernel_str(key->executable, sizeof(key->executable), executable) <= 1)
		return 0;
	key->args_bytes = args_bytes_of(task);
	if (place_in_cgroup(key, task))
		bpf_map_update_elem(&recently_dead, key, &dead, BPF_ANY);
	place_below_parent(key, READ(task, group_leader));
	bpf_map_update_elem(&recently_dead, key, &dead, BPF_ANY);
	restarts_until_ns = dead.time_ns + RESTART_WITHIN_NS;
	return 0;
}

/* Takes out whoever died there within the time. */
static __always_inline bool take_dead(const struct restart_key *key, struct dead *out, __u64 now_ns)
{
	struct dead *dead = bpf_map_lookup_elem(&recently_dead, key);

	if (!dead)
		return false;
	*out = *dead;
	bpf_map_delete_elem(&recently_dead, key);
	return now_ns - out->time_ns <= RESTART_WITHIN_NS;
}

static __always_inline bool too_many_restarts(__u64 now_ns)
{
	__u64 second = now_ns / 1000000000;

	if (restarts_second != second) {
		restarts_second = second;
		restarts_count = 0;
	}
	return ++restarts_count > RESTARTS_A_SECOND_MAX;
}

static __always_inline void report_restart(struct task_struct *task, struct task_struct *leader, const struct dead *dead,
					   __u64 now_ns)
{
	struct record *record = scratch(SCRATCH_RESTART);
	struct event *event;
	__u64 at;

	if (!record || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) * 8 / ring_bytes >= DETAILS_EIGHTHS_MAX)
		return;
	event = &record->event;
	__builtin_memset(event, 0, sizeof(*event));
	identify(event, task, leader, READ(task, signal));
	event->flags = EVENT_FLAG_RESTART;
	event->time_ns = now_ns;
	at = append(record, 0, PART_DEAD, dead, sizeof(*dead));
	at = append_exe(SCRATCH_RESTART, at);
	at = append_ancestors(SCRATCH_RESTART, at);
	at = append_args(SCRATCH_RESTART, at);
	if (at <= sizeof(record->parts))
		hand_over(record, sizeof(*event) + at);
}

/*
 * sched_process_exec fires in exec_binprm(), when the new program is there with its arguments. An interpreter's script counts as the
 * interpreter that runs it. A fork without an exec is no restart: it is the same program that goes on.
 */
SEC("raw_tp/sched_process_exec")
int on_sched_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct record *record = scratch(SCRATCH_RESTART);
	struct task_struct *task, *leader;
	struct restart_key *key;
	struct dead dead, other;
	__u64 now_ns;
	bool found;

	if (!restarts_until_ns || !record)
		return 0;
	now_ns = bpf_ktime_get_boot_ns();
	if (now_ns > restarts_until_ns) {
		restarts_until_ns = 0;
		return 0;
	}
	task = (void *)bpf_get_current_task();
	leader = READ(task, group_leader);
	key = &record->place;
	__builtin_memset(key, 0, sizeof(*key));
	if (bpf_probe_read_kernel_str(key->executable, sizeof(key->executable),
				      READ(task, mm, exe_file, f_path.dentry, d_name.name)) <= 1)
		return 0;
	key->args_bytes = args_bytes_of(task);
	found = place_in_cgroup(key, task) && take_dead(key, &dead, now_ns);
	place_below_parent(key, leader);
	if (take_dead(key, &other, now_ns) && !found) {
		dead = other;
		found = true;
	}
	if (found && !too_many_restarts(now_ns))
		report_restart(task, leader, &dead, now_ns);
	return 0;
}
