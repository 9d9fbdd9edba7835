/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The executable mappings of a crashed process, and the mapping that holds the address of the fault, by walking the maple tree by hand
 * (lib/maple_tree.c, include/linux/maple_tree.h): without a lock and without an iterator, so that it works with interrupts off and
 * before 6.7. Other threads may change the tree meanwhile: what is read then may be wrong, and is checked by the loader.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "crash_files.h"
#include "crash_maps.h"
#include "crash_slot.h"
#include "event.h"
#include "executable.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "paths.h"
#include "task.h"

#define VM_EXEC 0x00000004 /* include/linux/mm.h */
#define MODULE_DEPTH_MAX 32 /* names of a path */

/* Encoded nodes: bits 3 to 6 are the type. A node is aligned to 256 bytes: its parent, then pivots, then slots. */
#define MAPLE_NODE_MASK (~0xffull)
#define MAPLE_NODE_BYTES 256
#define MAPLE_TYPE(entry) ((entry) >> 3 & 15)
#define MAPLE_LEAF 1
#define MAPLE_ARANGE 3
#define MAPLE_PIVOTS 15        /* of a leaf and of a range node; they have 16 slots */
#define MAPLE_ARANGE_PIVOTS 9  /* with 10 slots */
#define MAPLE_RESERVED_MAX 4096 /* an entry below is no address */
#define MAPLE_DEPTH_MAX 6
#define LEAVES_MAX 256 /* each has up to 16 mappings */
#define KERNEL_ADDRESSES (1ull << 63)

/* Appends the names of a file from the leaf to the root of its file system: mounts are left out on purpose. Returns their bytes. */
__noinline __u64 append_file_path(__u32 which, __u64 dentry_address)
{
	struct crash_slot *slot = crash_slot_at(which);
	struct dentry *dentry = (void *)dentry_address;
	__u64 at, begin;

	if (!captures_crashes() || !slot)
		return 0;
	begin = at = slot->paths_bytes;
	for (int i = 0; i < MODULE_DEPTH_MAX; i++) {
		struct dentry *parent = READ(dentry, d_parent);
		long n;

		if (!parent || parent == dentry)
			break;
		barrier_var(at);
		if (at > MODULE_PATHS_BYTES)
			break;
		n = bpf_probe_read_kernel_str(slot->paths + at, NAME_BYTES_MAX, READ(dentry, d_name.name));
		if (n > 0)
			at += n;
		dentry = parent;
	}
	slot->paths_bytes = at;
	return at - begin;
}

/*
 * Whether current executes the file with this inode. On an overlay, a mapping has the file below it, whose size and times the overlay copies
 * (ovl_copyattr()).
 */
static __always_inline bool is_executed(struct inode *inode)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct inode *executed = READ(task, mm, exe_file, f_inode);

	if (inode == executed)
		return true;
	return READ(inode, i_sb) != READ(executed, i_sb) && READ(inode, i_size) == READ(executed, i_size) &&
	       ctime_of(inode) == ctime_of(executed) && ctime_nanoseconds_of(inode) == ctime_nanoseconds_of(executed);
}

/* place: in crash_slot.mappings. */
__noinline __u64 describe_mapping(__u32 which, __u64 place, __u64 mapping_address)
{
	struct vm_area_struct *mapping = (void *)mapping_address;
	struct crash_slot *slot = crash_slot_at(which);
	struct super_block *super_block;
	struct crash_mapping *out;
	struct inode *inode;
	struct file *file;

	if (!captures_crashes() || !slot)
		return 0;
	barrier_var(place);
	if (place >= MAPPING_PLACES)
		return 0;
	out = &slot->mappings[place];
	out->start = READ(mapping, vm_start);
	out->end = READ(mapping, vm_end);
	out->flags = READ(mapping, vm_flags);
	out->inode = 0;
	out->is_executable = 0;
	file = READ(mapping, vm_file);
	if (!file)
		return 0;
	out->offset = READ(mapping, vm_pgoff) * page_bytes;
	inode = READ(file, f_inode);
	super_block = READ(inode, i_sb);
	out->inode = READ(inode, i_ino);
	out->generation = READ(inode, i_generation);
	out->links = READ(inode, i_nlink);
	out->is_executable = is_executed(inode);
	out->file_bytes = READ(inode, i_size);
	out->ctime_s = ctime_of(inode);
	out->device = READ(super_block, s_dev);
	out->magic = READ(super_block, s_magic);
	out->path_at = slot->paths_bytes;
	out->path_bytes = append_file_path(which, (__u64)BPF_CORE_READ(file, f_path.dentry)); /* a number to the verifier */
	return 0;
}

/* Keeps the page cache of a module's file if that may be out of reach later, once for mappings of the same file that follow each other. */
__noinline __u64 keep_cache(__u32 which, __u64 place, __u64 file_address)
{
	struct crash_slot *slot = crash_slot_at(which);
	struct file *file = (void *)file_address;
	struct inode *inode;
	__u64 cache;

	if (!captures_crashes() || !slot || !file)
		return 0;
	inode = READ(file, f_inode);
	barrier_var(place);
	if (place >= MODULES_MAX || !may_vanish(file, inode))
		return 0;
	cache = (__u64)BPF_CORE_READ(inode, i_mapping);
	if (slot->work.last_cache == cache)
		return 0;
	slot->work.last_cache = slot->work.caches[place] = cache;
	slot->work.caches_count++;
	return 0;
}

/* A mapping, in the order of addresses. */
__noinline __u64 visit_mapping(__u32 which, __u64 mapping_address)
{
	struct vm_area_struct *mapping = (void *)mapping_address;
	struct crash_slot *slot = crash_slot_at(which);
	__u64 place;

	if (!captures_crashes() || !slot)
		return 0;
	slot->mappings_count++;
	if (READ(mapping, vm_end) > slot->address && !slot->mappings[MAPPING_OF_ADDRESS].end &&
	    !slot->mappings[MAPPING_ABOVE].end)
		describe_mapping(which, READ(mapping, vm_start) > slot->address, mapping_address);
	place = slot->modules_count;
	if (!(READ(mapping, vm_flags) & VM_EXEC) || place >= MODULES_MAX)
		return 0;
	describe_mapping(which, MAPPING_OF_MODULES + place, mapping_address);
	slot->modules_count = place + 1;
	keep_cache(which, place, (__u64)BPF_CORE_READ(mapping, vm_file)); /* a number to the verifier */
	return 0;
}

/*
 * Goes one level down the tree, to the part that holds work.index. At a leaf, work.words has the node, and work.slot is where that part
 * begins in it.
 */
__noinline __u64 descend(__u32 which)
{
	struct crash_slot *slot = crash_slot_at(which);
	__u64 entry, type, pivots, i;
	struct crash_work *work;

	if (!captures_crashes() || !slot)
		return 0;
	work = &slot->work;
	entry = work->entry;
	if (entry < MAPLE_RESERVED_MAX ||
	    bpf_probe_read_kernel(work->words, MAPLE_NODE_BYTES, (void *)(entry & MAPLE_NODE_MASK))) {
		work->entry = 0;
		return 0;
	}
	type = MAPLE_TYPE(entry);
	pivots = type == MAPLE_ARANGE ? MAPLE_ARANGE_PIVOTS : MAPLE_PIVOTS;
	for (i = 0; i < MAPLE_PIVOTS; i++) {
		__u64 pivot = work->words[1 + i];

		if (i >= pivots || (i && !pivot))
			break;
		if (work->index <= pivot) {
			if (pivot < work->last)
				work->last = pivot;
			break;
		}
	}
	if (type == MAPLE_LEAF) {
		work->is_leaf = 1;
		work->slot = i;
		return 0;
	}
	work->entry = work->words[(1 + pivots + i) & 31];
	return 1;
}

/* Visits the mapping in a slot of the leaf in work.words. Returns 1 if it was the last one. */
__noinline __u64 visit_slot(__u32 which, __u64 number)
{
	struct crash_slot *slot = crash_slot_at(which);
	struct crash_work *work;
	__u64 mapping;

	if (!captures_crashes() || !slot || number > MAPLE_PIVOTS)
		return 1;
	work = &slot->work;
	if (number < work->slot)
		return 0;
	mapping = work->words[(1 + MAPLE_PIVOTS + number) & 31];
	if (mapping && mapping < KERNEL_ADDRESSES)
		return 1; /* the node's own metadata */
	if (mapping)
		visit_mapping(which, mapping);
	return number == MAPLE_PIVOTS || !work->words[(1 + number) & 31]; /* without a pivot, it ends where the node does */
}

/* Visits the leaf that holds `index`. Returns the first address behind it; 0: there is none. */
__noinline __u64 visit_leaf_of(__u32 which, __u64 index)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct crash_slot *slot = crash_slot_at(which);
	struct mm_struct *mm = READ(task, mm);
	struct crash_work *work;
	__u64 end = ~0ull;

	if (!captures_crashes() || !slot || !mm)
		return 0;
	work = &slot->work;
	work->entry = (__u64)READ(mm, mm_mt.ma_root);
	work->index = index;
	work->last = ~0ull;
	work->is_leaf = 0;
	for (int depth = 0; depth < MAPLE_DEPTH_MAX; depth++) {
		end = work->last; /* of the node that is looked at now */
		if (!descend(which))
			break;
	}
	if (!work->is_leaf)
		return 0;
	for (int i = 0; i <= MAPLE_PIVOTS; i++) {
		if (visit_slot(which, i))
			break;
	}
	return end + 1; /* the last leaf ends at ULONG_MAX, not at the last address of user mode, which differs */
}

static __always_inline void walk_mappings(__u32 which)
{
	__u64 index = 0;

	for (int i = 0; i < LEAVES_MAX; i++) {
		index = visit_leaf_of(which, index);
		if (!index)
			return;
	}
}
