/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files that no one can open once the process is gone: removed or replaced ones, and those of a tmpfs or of a container's own layer, which
 * may go with it. What unwinding needs of them is copied from the page cache, whose tree and pages are found by hand: its helpers take locks
 * and sleep. Where the kernel's page structures and its map of all memory begin is measured once (crash_calibration.h). Functions are global
 * as in task_parts.h.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "crash_maps.h"
#include "crash_slot.h"
#include "elf.h"
#include "event.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "scratch.h"

#define TMPFS_MAGIC 0x01021994 /* include/uapi/linux/magic.h */
#define MOUNT_INTERNAL ((__u64) - 22) /* MNT_NS_INTERNAL of fs/mount.h: in no namespace */
#define MOUNT_READ_ONLY 0x40 /* MNT_READONLY of include/linux/mount.h */

/* Entries of an xarray (include/linux/xarray.h): a node, a sibling of the slot with an entry, a page, or a value, as for one that is swapped out. */
#define ENTRY_KIND 3
#define ENTRY_INTERNAL 2
#define ENTRY_SIBLINGS_END 256 /* below: the number of a slot of the same node */
#define XARRAY_SLOTS 64
#define XARRAY_DEPTH_MAX 8

/* Of a file at most, in pages: .eh_frame_hdr with .eh_frame, section headers, and the first segment, which has .dynsym and .dynstr. */
#define FRAMES_PAGES_MAX 48
#define END_PAGES_MAX 8
#define BEGIN_PAGES_MAX 40
#define ORIGIN_PAGE_SETS_MAX (CRASH_PAGE_SETS - 1)

static __always_inline struct crash_pages *crash_pages_at(__u64 number)
{
	__u32 which = number;

	return bpf_map_lookup_elem(&crash_pages_map, &which);
}

/* Whether the file, whose inode is given, may be out of reach when the process is gone. */
static __always_inline bool may_vanish(struct file *file, struct inode *inode)
{
	struct super_block *super_block = READ(inode, i_sb);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct vfsmount *visible = BPF_CORE_READ(file, f_path.mnt);
	struct mount *mount = (void *)visible - bpf_core_field_offset(struct mount, mnt);

	if (!READ(inode, i_nlink) || READ(super_block, s_magic) == TMPFS_MAGIC)
		return true;
	/* Of an overlay, before 6.8: which of its layers has the file is not known. */
	if (READ(dentry, d_sb) != super_block)
		return true;
	/* Of an overlay: its layers are mounts of their own, and those below are read-only (ovl_get_layers()). */
	return (__u64)READ(mount, mnt_ns) == MOUNT_INTERNAL && !(READ(visible, mnt_flags) & MOUNT_READ_ONLY);
}

/* The kernel's address of a page that is in the cache of a file (struct address_space); 0: it is not. */
static __always_inline __u64 cached_page(__u64 cache, __u64 page)
{
	struct crash_directory *directory = the_crash_directory();
	struct address_space *pages = (void *)cache;
	struct folio *folio;
	__u64 entry;

	if (!captures_crashes() || !directory || !directory->memory_map || !cache)
		return 0;
	entry = (__u64)BPF_CORE_READ(pages, i_pages.xa_head);
	if ((entry & ENTRY_KIND) != ENTRY_INTERNAL && page)
		return 0;
	for (int depth = 0; depth < XARRAY_DEPTH_MAX; depth++) {
		void *node = (void *)(entry - ENTRY_INTERNAL);
		__u64 shift, slots;

		if ((entry & ENTRY_KIND) != ENTRY_INTERNAL)
			break;
		shift = READ((struct xa_node *)node, shift) & 63;
		if (!depth && page >> shift >= XARRAY_SLOTS)
			return 0;
		slots = (__u64)node + bpf_core_field_offset(struct xa_node, slots);
		entry = 0;
		bpf_probe_read_kernel(&entry, sizeof(entry), (void *)(slots + (page >> shift & (XARRAY_SLOTS - 1)) * 8));
		if ((entry & ENTRY_KIND) == ENTRY_INTERNAL && entry < ENTRY_SIBLINGS_END)
			bpf_probe_read_kernel(&entry, sizeof(entry), (void *)(slots + (entry >> 2) * 8));
		if (!shift)
			break;
	}
	if (!entry || entry & ENTRY_KIND)
		return 0;
	folio = (void *)entry; /* its first page's structure; the page may be one of those behind it */
	return directory->memory_map +
	       ((entry - directory->page_structures) / bpf_core_type_size(struct page) + (page - READ(folio, index))) *
		       CRASH_PAGE;
}

/* Copies a page of a module's file to the slot's set. */
__noinline __u64 copy_file_page(__u32 which, __u64 module, __u64 page)
{
	struct crash_slot *slot = crash_slot_at(which);
	struct crash_pages *pages;
	__u64 from, count;

	if (!captures_crashes() || !slot)
		return 0;
	pages = crash_pages_at(slot->work.page_set);
	barrier_var(module);
	if (!pages || module >= MODULES_MAX)
		return 0;
	count = pages->count;
	barrier_var(count);
	if (count >= FILE_PAGES)
		return 0;
	from = cached_page(slot->work.caches[module], page);
	if (!from || bpf_probe_read_kernel(pages->bytes + count * CRASH_PAGE, CRASH_PAGE, (void *)from))
		return 0;
	pages->places[count].module = module;
	pages->places[count].page = page;
	pages->count = count + 1;
	return 1;
}

/* Copies the pages that hold these bytes of the file, pages_max at most. */
__noinline __u64 copy_file_bytes(__u32 which, __u64 module, __u64 from, __u64 to, __u64 pages_max)
{
	if (!captures_crashes())
		return 0;
	for (__u64 i = 0; i < FRAMES_PAGES_MAX; i++) {
		__u64 page = from / CRASH_PAGE + i;

		if (i >= pages_max || page * CRASH_PAGE >= to)
			break;
		copy_file_page(which, module, page);
	}
	return 0;
}

/* Where .eh_frame_hdr begins, by the program headers in work.words; 0: there is none. */
__noinline __u64 begin_of_frames(__u32 which)
{
	struct crash_slot *slot = crash_slot_at(which);

	if (!captures_crashes() || !slot)
		return 0;
	for (int i = 0; i < PROGRAM_HEADERS_MAX; i++) {
		struct program_header *segment = (void *)slot->work.words + ELF_HEADER_BYTES + i * sizeof(*segment);

		if (segment->type == PT_GNU_EH_FRAME)
			return segment->offset;
	}
	return 0;
}

/* Where the segment ends that has this byte of the file, by the program headers in work.words; 0: none has it. */
__noinline __u64 end_of_segment(__u32 which, __u64 offset)
{
	struct crash_slot *slot = crash_slot_at(which);

	if (!captures_crashes() || !slot)
		return 0;
	for (int i = 0; i < PROGRAM_HEADERS_MAX; i++) {
		struct program_header *segment = (void *)slot->work.words + ELF_HEADER_BYTES + i * sizeof(*segment);

		if (segment->type == PT_LOAD && offset - segment->offset < segment->filesz)
			return segment->offset + segment->filesz;
	}
	return 0;
}

/* Copies what unwinding needs of a module's file: a small one whole. */
__noinline __u64 copy_file(__u32 which, __u64 module)
{
	struct crash_slot *slot = crash_slot_at(which);
	__u64 bytes, head, frames;

	if (!captures_crashes() || !slot)
		return 0;
	barrier_var(module);
	if (module >= MODULES_MAX || !slot->work.caches[module])
		return 0;
	bytes = slot->mappings[MAPPING_OF_MODULES + module].file_bytes;
	if (bytes <= BEGIN_PAGES_MAX * CRASH_PAGE)
		return copy_file_bytes(which, module, 0, bytes, BEGIN_PAGES_MAX);
	head = cached_page(slot->work.caches[module], 0);
	if (!head || bpf_probe_read_kernel(slot->work.words,
					   ELF_HEADER_BYTES + PROGRAM_HEADERS_MAX * sizeof(struct program_header), (void *)head))
		return 0;
	copy_file_page(which, module, 0);
	frames = begin_of_frames(which); /* .eh_frame follows, to the end of the segment */
	if (frames)
		copy_file_bytes(which, module, frames, end_of_segment(which, frames), FRAMES_PAGES_MAX);
	copy_file_bytes(which, module, (bytes / CRASH_PAGE + 1 - END_PAGES_MAX) * CRASH_PAGE, bytes, END_PAGES_MAX);
	return copy_file_bytes(which, module, CRASH_PAGE, end_of_segment(which, 0), BEGIN_PAGES_MAX);
}

/* What holder_of_slot() says of a slot. Those of all slots are added, and each has a byte of the sum. */
#define OWN_SLOT 1 /* the origin of the scratch record holds it */
#define HELD_SLOT 0x100 /* any origin does */
#define OWN_PAGES 0x10000 /* the origin of the scratch record holds a set of pages with it */
_Static_assert(CRASH_SLOTS < 0x100, "a byte of the sum has all slots");

/* 0: the slot is free, and so has no pages. A function of its own: in the loops, its branches would multiply. */
__noinline __u64 holder_of_slot(__u32 user, __u64 index)
{
	struct crash_directory *directory = the_crash_directory();
	struct record *record = scratch(user);
	struct crash_claim *claim;

	if (!captures_crashes() || !directory || !record)
		return 0;
	barrier_var(index);
	if (index >= CRASH_SLOTS)
		return 0;
	claim = &directory->claims[index];
	if (claim->state == SLOT_FREE)
		return 0;
	if (claim->origin.cgroup != record->event.origin.cgroup || claim->origin.uid != record->event.origin.uid)
		return HELD_SLOT;
	return claim->page_set ? HELD_SLOT + OWN_SLOT + OWN_PAGES : HELD_SLOT + OWN_SLOT;
}

/* Whether a module's file may be out of reach, and the scratch record's origin has not its share of the sets. */
__noinline __u64 wants_pages(__u32 user, __u32 which)
{
	struct crash_slot *slot = crash_slot_at(which);
	__u64 sum = 0;

	if (!captures_crashes() || !slot || !slot->work.caches_count)
		return 0;
	for (int i = 0; i < CRASH_SLOTS; i++)
		sum += holder_of_slot(user, i);
	return (sum / OWN_PAGES & 0xff) < ORIGIN_PAGE_SETS_MAX;
}

/* Copies the files that may be out of reach later. Returns the number of their set, from 1 on; 0: there is none. */
static __always_inline __u32 copy_files(__u32 user, __u32 which)
{
	struct crash_slot *slot = crash_slot_at(which);
	__u32 set = 0;

	if (!captures_crashes() || !slot || !wants_pages(user, which) || bpf_map_pop_elem(&free_page_sets, &set))
		return 0;
	slot->work.page_set = set;
	for (__u64 module = 0; module < MODULES_MAX; module++)
		copy_file(which, module);
	return set + 1;
}
