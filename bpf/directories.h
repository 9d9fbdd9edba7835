/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Steps from a file or a cgroup towards its root, for the programs of all kernels (paths.h and old_texts.h walk).
 */
#pragma once

#include <linux/types.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kernel.h"
#include "kernel_cgroups.h"
#include "kernel_files.h"
#include "load.h"

#define NAME_BYTES_MAX 256 /* NAME_MAX and its NUL */

/*
 * Unrolls the loop: the verifiers of 5.10 and 6.1 (not of 6.12) reject a loop whose last instruction falls through to its first
 * ("back-edge"), and clang lays out a loop with carried values like that. Those before 5.3 reject every loop.
 */
#define UNROLL _Pragma("clang loop unroll(full)")

static __always_inline struct mount *mount_of(struct vfsmount *vfsmount)
{
	return (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	if (bpf_core_field_exists(((struct kernfs_node___rcu *)0)->__parent))
		return READ((struct kernfs_node___rcu *)node, __parent);
	return READ(node, parent);
}

/*
 * 1: a cgroup's directory belongs to another user than root, who owns what they create (cgroup_kn_set_ugid()); else 0. There is no
 * branch: at each directory of a path, it would double what the verifier has to follow.
 */
static __always_inline __u64 is_delegated(struct kernfs_node *node)
{
	__u64 uid;

	if (!bpf_core_field_exists(((struct kernfs_iattrs *)0)->ia_uid))
		return 0;
	uid = READ(node, iattr, ia_uid.val); /* 0, too, if no attribute was ever set */
	return (uid + 0xffffffff) >> 32;
}
