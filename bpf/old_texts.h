/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Executable and arguments of each process, kept from its exec, or from the fork of one that executes nothing: before 6.16 the memory of a
 * process is gone at sched_process_exit, and nothing else shows it on these kernels. The loader adds those of processes that ran before.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "directories.h"
#include "event.h"
#include "kernel.h"
#include "kernel_files.h"
#include "old_ended.h"
#include "old_maps.h"
#include "old_task.h"

#define PATH_DEPTH_MAX 24 /* names and mounts on the way from an executable to the root */

/* Writes the names of a path from the leaf to the task's root. Returns the bytes, or OLD_TEXT_BYTES + 1: there are more. */
static __always_inline __u64 read_path(char *out, const struct path *path, const struct path *root)
{
	struct dentry *dentry = READ(path, dentry);
	struct dentry *root_dentry = READ(root, dentry);
	struct vfsmount *vfsmount = READ(path, mnt);
	struct vfsmount *root_vfsmount = READ(root, mnt);
	__u64 bytes = 0;

	UNROLL
	for (int i = 0; i < PATH_DEPTH_MAX; i++) {
		struct mount *mount = mount_of(vfsmount);
		struct mount *above = mount;

		if (!dentry || (dentry == root_dentry && vfsmount == root_vfsmount))
			return bytes;
		if (dentry == READ(vfsmount, mnt_root))
			above = READ(mount, mnt_parent);
		if (above != mount) {
			dentry = READ(mount, mnt_mountpoint);
			vfsmount = (void *)above + bpf_core_field_offset(struct mount, mnt);
		} else {
			struct dentry *child = dentry;
			long n = bpf_probe_read_str(out + (bytes & 511), NAME_BYTES_MAX, READ(dentry, d_name.name));

			if (n > 0)
				bytes += n;
			if (bytes > OLD_TEXT_BYTES)
				return OLD_TEXT_BYTES + 1;
			dentry = READ(child, d_parent);
			if (dentry == child)
				return bytes;
		}
	}
	return OLD_TEXT_BYTES + 1;
}

/* Adds or replaces a text. */
static __always_inline void keep_text(struct old_key *key, __u32 kind, struct old_text *text)
{
	struct old_counters *sums = counters();

	key->kind = kind;
	if (bpf_map_update_elem(&old_texts, key, text, BPF_ANY) && sums)
		sums->programs_unknown++;
}

/* What both texts of an exec have. */
static __always_inline void describe(struct old_text *text, struct task_struct *task, __u64 now_ns)
{
	text->time_ns = now_ns;
	text->exec_id = exec_id_of(task);
	text->uid = READ(task, cred, euid.val);
	text->login_uid = login_uid_of(task);
}

static __always_inline void keep_executable(struct old_key *key, struct task_struct *task, struct mm_struct *mm, __u64 now_ns)
{
	struct old_text text = {};
	struct fs_struct *fs = READ(task, fs);
	__u32 zero = 0;
	struct old_scratch *scratch = bpf_map_lookup_elem(&old_scratch_map, &zero);
	__u64 bytes;

	if (!scratch)
		return;
	describe(&text, task, now_ns);
	/* 0 where types that were found by observation have no paths: the text of the program before must not stay. */
	bytes = read_path(scratch->names, &READ(mm, exe_file)->f_path, &fs->root);
	text.truncated = bytes > OLD_TEXT_BYTES;
	text.bytes = text.truncated ? OLD_TEXT_BYTES : bytes;
	bpf_probe_read(text.text, sizeof(text.text), scratch->names);
	keep_text(key, OLD_EXE, &text);
}

/* The arguments of current, which has just copied them. */
static __always_inline void keep_arguments(struct old_key *key, struct task_struct *task, struct mm_struct *mm, __u64 now_ns)
{
	struct old_text text = {};
	__u64 start = READ(mm, arg_start), bytes = READ(mm, arg_end) - start;
	__u32 zero = 0;
	struct old_scratch *scratch = bpf_map_lookup_elem(&old_scratch_map, &zero);

	if (!scratch || !start || !bytes)
		return;
	describe(&text, task, now_ns);
	text.texts =
		bytes > (OLD_ARGS_TEXTS - 1) * OLD_TEXT_BYTES ? OLD_ARGS_TEXTS : (bytes + OLD_TEXT_BYTES - 1) / OLD_TEXT_BYTES;
	UNROLL
	for (int i = 0; i < OLD_ARGS_TEXTS; i++) {
		__u64 part = bytes > OLD_TEXT_BYTES ? OLD_TEXT_BYTES : bytes;

		text.truncated = bytes > OLD_TEXT_BYTES;
		barrier_var(part); /* verifiers lose a bound of what was kept on the stack: hence the mask, and the room for it */
		if (bpf_probe_read(scratch->names, part & 255, (void *)start))
			part = 0;
		bpf_probe_read(text.text, sizeof(text.text), scratch->names);
		text.bytes = part;
		keep_text(key, OLD_ARGS + i, &text);
		start += OLD_TEXT_BYTES;
		if (bytes <= OLD_TEXT_BYTES)
			return;
		bytes -= OLD_TEXT_BYTES;
	}
}

/* What a process executes; of one that the loader found in /proc, the start is cut there, and then in the key. */
static __always_inline struct old_text *text_of(struct old_key *key, enum old_kind kind)
{
	struct old_text *text;

	key->kind = kind;
	text = bpf_map_lookup_elem(&old_texts, key);
	if (text)
		return text;
	key->start_boottime_ns -= key->start_boottime_ns % OLD_PROC_TICK_NS;
	return bpf_map_lookup_elem(&old_texts, key);
}

static __always_inline void copy_text(struct old_key *to, struct old_text *known, __u32 kind)
{
	struct old_text text;

	bpf_probe_read(&text, sizeof(text), known);
	keep_text(to, kind, &text);
}

/* A process was forked, and executes what its parent does. */
static __always_inline void copy_texts(struct old_key *to, struct old_key *from)
{
	struct old_text *text = text_of(from, OLD_EXE);
	__u32 texts;

	if (text)
		copy_text(to, text, OLD_EXE);
	text = text_of(from, OLD_ARGS);
	if (!text)
		return;
	texts = text->texts;
	copy_text(to, text, OLD_ARGS);
	UNROLL
	for (__u32 i = 1; i < OLD_ARGS_TEXTS; i++) {
		barrier_var(texts); /* or the compiler makes it the bound of the loop, which it then cannot unroll */
		if (i >= texts)
			return;
		from->kind = OLD_ARGS + i;
		text = bpf_map_lookup_elem(&old_texts, from);
		if (text)
			copy_text(to, text, OLD_ARGS + i);
	}
}

/* Copies what a process executes for a record, if that is no later than latest_ns. exec_id: 0, or that of its program. */
static __always_inline void append_program(struct old_program *out, struct old_key key, __u64 latest_ns, __u64 exec_id)
{
	struct old_text *text = text_of(&key, OLD_EXE);
	__u32 texts = 0;

	out->exe.bytes = 0;
	if (text && text->time_ns <= latest_ns && (!exec_id || !text->exec_id || text->exec_id == exec_id))
		bpf_probe_read(&out->exe, sizeof(out->exe), text);
	key.kind = OLD_ARGS;
	text = bpf_map_lookup_elem(&old_texts, &key);
	if (text && text->time_ns <= latest_ns && (!exec_id || !text->exec_id || text->exec_id == exec_id)) {
		texts = text->texts;
		bpf_probe_read(&out->args[0], sizeof(out->args[0]), text);
	}
	UNROLL
	for (__u32 i = 0; i < OLD_ARGS_TEXTS; i++) {
		barrier_var(texts);
		if (i >= texts) {
			out->args[i].bytes = 0;
			continue;
		}
		if (!i)
			continue;
		key.kind = OLD_ARGS + i;
		text = bpf_map_lookup_elem(&old_texts, &key);
		if (text)
			bpf_probe_read(&out->args[i], sizeof(out->args[i]), text);
		else
			out->args[i].bytes = 0;
	}
}

static __always_inline void drop_texts(struct old_key *key)
{
	struct old_text *text = text_of(key, OLD_ARGS);
	__u32 texts = text ? text->texts : 0;

	UNROLL
	for (__u32 i = 0; i < OLD_ARGS_TEXTS; i++) {
		key->kind = OLD_ARGS + i;
		if (i < texts)
			bpf_map_delete_elem(&old_texts, key);
	}
	key->kind = OLD_EXE;
	bpf_map_delete_elem(&old_texts, key);
}

/* The texts of a process that ended are removed when OLD_ENDED others have ended on this CPU. */
static __always_inline void end_texts(struct old_key *key)
{
	struct old_key before = {};

	if (take_ended(key, &before))
		drop_texts(&before);
}
