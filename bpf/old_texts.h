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
#include "event.h"
#include "kernel.h"
#include "kernel_files.h"
#include "old_maps.h"
#include "old_task.h"

#define PATH_DEPTH_MAX 24 /* names and mounts on the way from an executable to the root */
#define NAME_BYTES_MAX 256 /* NAME_MAX and its NUL */

static __always_inline struct mount *mount_of(struct vfsmount *vfsmount)
{
	return (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
}

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
static __always_inline void keep_text(struct old_key *key, enum old_kind kind, struct old_text *text)
{
	struct old_counters *sums = counters();

	key->kind = kind;
	if (bpf_map_update_elem(&old_texts, key, text, BPF_ANY) && sums)
		sums->programs_unknown++;
}

static __always_inline void keep_executable(struct old_key *key, struct task_struct *task, struct mm_struct *mm, __u64 now_ns)
{
	struct old_text text = {.time_ns = now_ns};
	struct fs_struct *fs = READ(task, fs);
	__u32 zero = 0;
	struct old_scratch *scratch = bpf_map_lookup_elem(&old_scratch_map, &zero);
	__u64 bytes;

	if (!scratch || !fs)
		return;
	bytes = read_path(scratch->names, &READ(mm, exe_file)->f_path, &fs->root);
	text.truncated = bytes > OLD_TEXT_BYTES;
	text.bytes = text.truncated ? OLD_TEXT_BYTES : bytes;
	bpf_probe_read(text.text, sizeof(text.text), scratch->names);
	keep_text(key, OLD_EXE, &text);
}

/* The arguments of current, which has just copied them. */
static __always_inline void keep_arguments(struct old_key *key, struct mm_struct *mm, __u64 now_ns)
{
	struct old_text text = {.time_ns = now_ns};
	__u64 start = READ(mm, arg_start), bytes = READ(mm, arg_end) - start;

	text.truncated = bytes > OLD_TEXT_BYTES;
	if (bytes > OLD_TEXT_BYTES)
		bytes = OLD_TEXT_BYTES;
	if (!start || bpf_probe_read(text.text, bytes, (void *)start))
		bytes = 0;
	text.bytes = bytes;
	keep_text(key, OLD_ARGS, &text);
}

/* What a process executes; of one that the loader found in /proc, the start is cut there. */
static __always_inline struct old_text *text_of(const struct old_key *key, enum old_kind kind)
{
	struct old_key found = *key;
	struct old_text *text;

	found.kind = kind;
	text = bpf_map_lookup_elem(&old_texts, &found);
	if (text)
		return text;
	found.start_boottime_ns -= found.start_boottime_ns % OLD_PROC_TICK_NS;
	return bpf_map_lookup_elem(&old_texts, &found);
}

static __always_inline void copy_text(struct old_key *to, const struct old_key *from, enum old_kind kind)
{
	struct old_text *known = text_of(from, kind), text = {};

	if (!known)
		return;
	bpf_probe_read(&text, sizeof(text), known);
	keep_text(to, kind, &text);
}

/* Copies it for a record. False: it is not known. */
static __always_inline bool append_text(struct old_text *out, const struct old_key *key, enum old_kind kind)
{
	struct old_text *known = text_of(key, kind);

	out->bytes = 0;
	if (known)
		bpf_probe_read(out, sizeof(*out), known);
	return known;
}

static __always_inline void drop_text(struct old_key *key, enum old_kind kind)
{
	key->kind = kind;
	bpf_map_delete_elem(&old_texts, key);
}

/* The texts of a process that ended are removed when OLD_ENDED others have ended on this CPU. */
static __always_inline void end_texts(struct old_key *key)
{
	__u32 zero = 0, slot;
	struct old_scratch *scratch = bpf_map_lookup_elem(&old_scratch_map, &zero);
	struct old_ended *ended;
	struct old_key before = {};

	if (!scratch)
		return;
	slot = scratch->ended++ & (OLD_ENDED - 1);
	ended = bpf_map_lookup_elem(&old_ended_map, &slot);
	if (!ended)
		return;
	before.start_boottime_ns = ended->start_boottime_ns;
	before.pid = ended->pid;
	ended->start_boottime_ns = key->start_boottime_ns;
	ended->pid = key->pid;
	if (!before.pid)
		return;
	drop_text(&before, OLD_EXE);
	drop_text(&before, OLD_ARGS);
	before.start_boottime_ns -= before.start_boottime_ns % OLD_PROC_TICK_NS;
	drop_text(&before, OLD_EXE);
	drop_text(&before, OLD_ARGS);
}
