/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types of files, paths and mounts, cut down as in kernel.h.
 */
#pragma once

#include <linux/types.h>

#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct mnt_namespace {
	struct user_namespace *user_ns;
};

/* An exec: the path that it was given, and that of the interpreter, which are one for a binary. */
struct linux_binprm {
	const char *filename, *interp;
};

struct xarray {
	void *xa_head;
};

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

/* The page cache of a file. */
struct address_space {
	struct xarray i_pages;
};

struct page {
};

/* From 5.16: pages that are cached together. Its address is that of the first one's structure. */
struct folio {
	unsigned long index;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
};

struct inode {
	unsigned long i_ino;
	kuid_t i_uid;
	unsigned int i_nlink;
	__u32 i_generation;
	__s64 i_size;
	struct super_block *i_sb;
	struct address_space *i_mapping;
};

/* From 6.11: "fs: turn inode ctime fields into discrete integers". */
struct inode___seconds {
	__s64 i_ctime_sec;
	__u32 i_ctime_nsec;
};

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

/* From 6.6: "fs: rename i_ctime field to __i_ctime". */
struct inode___private {
	struct timespec64 __i_ctime;
};

/* Before. */
struct inode___public {
	struct timespec64 i_ctime;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	int mnt_flags;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct fdtable {
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
};

#pragma clang attribute pop
