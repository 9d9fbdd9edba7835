/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether the path of an executable is what it seems: an unprivileged user may have its own root and its own mounts, in a user
 * namespace, and there any program may lie at /usr/bin/ssh. The kernel's facts only; the service decides what they mean
 * (docs/decisions/0052).
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
#include "task.h"

#define ROOT_MOUNTS_MAX 8 /* mounts on top of each other at "/" */
#define MNT_NS_INTERNAL (-22ul) /* fs/mount.h: ERR_PTR(-EINVAL), of a mount that the kernel made for itself */

/* When a file was changed last, its content or its attributes: seconds. */
static __always_inline __s64 ctime_of(struct inode *inode)
{
	if (bpf_core_field_exists(((struct inode___seconds *)0)->i_ctime_sec))
		return READ((struct inode___seconds *)inode, i_ctime_sec);
	if (bpf_core_field_exists(((struct inode___private *)0)->__i_ctime))
		return READ((struct inode___private *)inode, __i_ctime.tv_sec);
	return READ((struct inode___public *)inode, i_ctime.tv_sec);
}

/* The nanoseconds beside ctime_of(). */
static __always_inline __u64 ctime_nanoseconds_of(struct inode *inode)
{
	if (bpf_core_field_exists(((struct inode___seconds *)0)->i_ctime_nsec))
		return READ((struct inode___seconds *)inode, i_ctime_nsec);
	if (bpf_core_field_exists(((struct inode___private *)0)->__i_ctime))
		return READ((struct inode___private *)inode, __i_ctime.tv_nsec);
	return READ((struct inode___public *)inode, i_ctime.tv_nsec);
}

/*
 * False: the root is that of its mount namespace. Mounts on top of each other at "/" are one root: those of an initramfs, of
 * pivot_root(2), and of a mount that was moved to "/".
 */
static __always_inline bool is_chroot(const struct path *root)
{
	struct dentry *dentry = READ(root, dentry);
	struct vfsmount *vfsmount = READ(root, mnt);

	UNROLL
	for (int i = 0; i < ROOT_MOUNTS_MAX; i++) {
		struct mount *mount = mount_of(vfsmount);
		struct mount *below = READ(mount, mnt_parent);

		if (dentry != READ(vfsmount, mnt_root))
			return true;
		if (!below || below == mount)
			return false;
		dentry = READ(mount, mnt_mountpoint);
		vfsmount = (void *)below + bpf_core_field_offset(struct mount, mnt);
	}
	return false;
}

/* The namespace in which the executable is mounted counts, not that of the task: it may have come here as a file descriptor. */
static __always_inline __u64 mounts_flags(struct task_struct *task, const struct path *path)
{
	struct mount *mount = mount_of(READ(path, mnt));
	struct mnt_namespace *mounts = READ(mount, mnt_ns);
	struct dentry *dentry = READ(path, dentry);
	struct upid *upid = upid_of(READ(task, signal));
	struct user_namespace *user_ns;
	__u64 flags = 0;

	if (!dentry)
		return 0;
	if ((unsigned long)mounts == MNT_NS_INTERNAL)
		return EXE_MEMFD;
	if (!READ(dentry, d_hash.pprev) && READ(dentry, d_parent) != dentry) /* d_unlinked() */
		flags |= EXE_DELETED;
	if (!mounts)
		return flags | EXE_UNMOUNTED;
	user_ns = READ(mounts, user_ns);
	if (!READ(user_ns, level)) /* the initial one: only root can arrange these mounts */
		return flags;
	if (user_ns != READ(upid, ns, user_ns))
		return flags | EXE_FOREIGN_MOUNTS;
	return READ(user_ns, owner.val) ? flags | EXE_USER_MOUNTS : flags;
}

/*
 * The flags of current's executable (enum part_flag). path_bytes: as read_path() returned them. A global function, as in
 * task_parts.h.
 */
__u64 exe_flags(__u64 path_bytes)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct fs_struct *fs = READ(task, fs);
	__u64 flags;

	if (!mm || !fs)
		return 0;
	flags = mounts_flags(task, &READ(mm, exe_file)->f_path);
	if (!(path_bytes & OUTSIDE_ROOT) && !(flags & EXE_MEMFD) && is_chroot(&fs->root))
		flags |= EXE_CHROOT;
	return flags;
}
