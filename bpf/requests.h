/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests (docs/decisions/0091): people ask service managers, container runtimes and supervisors by tools, systemctl and docker for
 * example. The exec of one is reported, and its end. The file that was executed decides, not the arguments.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "environment.h"
#include "event.h"
#include "executable.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "program_list.h"
#include "program_maps.h"
#include "programs.h"
#include "ring.h"
#include "scratch.h"
#include "task.h"
#include "task_parts.h"

/* Of one origin. A person asks less often, and a script that asks more often has asked. */
#define REQUESTS_PER_SECOND_MAX 200 /* with their ends: scripts that wait for a unit ask many times a second */
#define MNT_NOSUID 1 /* include/linux/mount.h */

static __always_inline __u32 kind_of_tool(const struct tool_name *name)
{
	__u32 *kind = bpf_map_lookup_elem(&tools, name);

	return kind ? *kind : 0;
}

/*
 * Finds the tool that current has just executed, with this bprm. exec has set comm to the last component of the path that it was given
 * (begin_new_exec()), and nothing has changed it yet: it names scripts, and the links to a program that is many tools.
 */
static __always_inline __u32 find_tool(struct program_scratch *scratch, struct task_struct *task, struct linux_binprm *bprm)
{
	struct tool_name *name = &scratch->tool;
	__u32 kind, kind_of_link;

	scratch->filename = (__u64)READ(bprm, filename);
	scratch->is_script = scratch->filename != (__u64)READ(bprm, interp);
	__builtin_memset(name, 0, sizeof(*name));
	if (scratch->is_script) {
		bpf_core_read(&name->text, sizeof(name->text), &task->comm);
		kind = kind_of_tool(name);
		return kind == TOOL_ASKS ? kind : 0;
	}
	bpf_probe_read_kernel_str(name->text, sizeof(name->text), READ(task, mm, exe_file, f_path.dentry, d_name.name));
	kind = kind_of_tool(name);
	if (!(kind & TOOL_MANY))
		return kind;
	bpf_core_read(&name->text, sizeof(name->text), &task->comm);
	kind_of_link = kind_of_tool(name) & TOOL_ASKS;
	if (kind_of_link || !(kind & TOOL_ASKS))
		return kind_of_link;
	__builtin_memset(name, 0, sizeof(*name));
	bpf_probe_read_kernel_str(name->text, sizeof(name->text), READ(task, mm, exe_file, f_path.dentry, d_name.name));
	return kind;
}

/*
 * The owner of the executable, where the kernel would let it decide with whose rights the program runs (mnt_may_suid()): not where users
 * mount what they like, as FUSE or from their own disks.
 */
static __always_inline __u32 owner_of(struct file *file)
{
	return READ(file, f_path.mnt, mnt_flags) & MNT_NOSUID ? UID_UNSET : READ(file, f_inode, i_uid.val);
}

/* Whether a user arranged the mounts that task sees: then the path of a script says nothing. */
static __always_inline bool sees_user_mounts(struct task_struct *task)
{
	struct user_namespace *user_ns = READ(task, nsproxy, mnt_ns, user_ns);

	return READ(user_ns, level) && READ(user_ns, owner.val);
}

/* Appends what was executed: PART_TOOL, and the path of a script. */
__u64 append_tool(__u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(SCRATCH_RESTART);
	struct program_scratch *scratch = the_program();
	struct executed_tool *out = (void *)part_at(record, at);
	char *path;
	long bytes;

	if (!out || !scratch)
		return at;
	__builtin_memcpy(out->name, scratch->tool.text, sizeof(out->name));
	out->owner = owner_of(READ(task, mm, exe_file));
	out->exe_flags = scratch->is_script && sees_user_mounts(task) ? EXE_USER_MOUNTS : 0;
	at = end_part(record, at, PART_TOOL, sizeof(*out));
	path = part_at(record, at);
	if (!path || !scratch->is_script)
		return at;
	bytes = bpf_probe_read_kernel_str(path, PATH_BYTES_MAX, (void *)scratch->filename);
	return bytes > 0 ? end_part(record, at, PART_SCRIPT, bytes) : at;
}

/* Counts a request that is not reported. */
static __always_inline void refuse_request(void)
{
	__u32 zero = 0;
	struct program_counters *counters = bpf_map_lookup_elem(&program_counts, &zero);

	if (counters)
		__sync_fetch_and_add(&counters->requests_refused, 1); /* exec and exit count, perhaps preempted */
}

static __always_inline bool too_many_requests(const struct event *event)
{
	__u64 second = event->time_ns / 1000000000;
	struct origin_share *own = share_of_origin(&event->origin);

	if (!own)
		return true;
	if (own->requests_second != second) {
		own->requests_second = second;
		own->requests = 0;
	}
	return ++own->requests > REQUESTS_PER_SECOND_MAX;
}

/* Begins the record of a request, or of its end. False: there is no room for it, which is counted. */
static __always_inline bool begin_request(__u32 user, struct record *record, struct task_struct *task, __u32 flag)
{
	struct event *event = &record->event;

	__builtin_memset(event, 0, sizeof(*event));
	fill_identity(user, event, task, READ(task, group_leader), READ(task, signal));
	event->flags = flag;
	event->time_ns = bpf_ktime_get_boot_ns();
	event->clock_offset_ns = clock_offset_at(event->time_ns);
	if (in_user_namespace(task))
		event->flags |= EVENT_FLAG_USER_NAMESPACE;
	if (used_eighths_of_share(user) < DETAILS_EIGHTHS_MAX)
		return true;
	refuse_request();
	return false;
}

static __always_inline void submit_request(__u32 user, struct record *record, __u64 at)
{
	if (at > sizeof(record->parts) || submit_record(user, record, sizeof(record->event) + at))
		refuse_request();
}

/* Appends who current is, as the one that asks. */
static __always_inline __u64 append_requester(__u32 user, __u64 at)
{
	at = append_exe(user, at);
	at = append_cgroup(user, append_credentials(user, at));
	at = append_hostname(user, at);
	at = append_programs(user, append_ancestors(user, at));
	at = append_env(user, at);
	return append_args(user, at);
}

/* current has just executed the tool in the scratch. Returns 0. */
__u64 report_request(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(SCRATCH_RESTART);
	__u64 at;

	if (!record || !begin_request(SCRATCH_RESTART, record, task, EVENT_FLAG_REQUEST))
		return 0;
	if (too_many_requests(&record->event)) {
		refuse_request();
		return 0;
	}
	at = append_requester(SCRATCH_RESTART, append_tool(0));
	submit_request(SCRATCH_RESTART, record, at);
	return 0;
}

/* current executed a program: keeps it, and reports it if it is a tool. */
static __always_inline void on_program(struct linux_binprm *bprm)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct program_scratch *scratch = the_program();
	__u32 kind;

	if (!scratch)
		return;
	kind = find_tool(scratch, task, bprm);
	if (keep_program(kind & TOOL_ASKS ? PROGRAM_ASKS : 0) && kind & TOOL_ASKS && (!scope_id || in_scope(task)))
		report_request();
}

/* The process of current, which has a program, ends with this status. Returns 0. */
__u64 end_program(__u32 status)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(SCRATCH_REPORT);
	struct process_key key = key_of(READ(task, group_leader));

	if (!(drop_program(key.start_boottime_ns, key.pid) & PROGRAM_ASKS) || !record || (scope_id && !in_scope(task)))
		return 0;
	if (!begin_request(SCRATCH_REPORT, record, task, EVENT_FLAG_REQUEST_END))
		return 0;
	record->event.status_raw = status;
	submit_request(SCRATCH_REPORT, record, 0);
	return 0;
}
