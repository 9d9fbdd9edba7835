/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Measures where the kernel's map of all memory and its page structures begin, which no program can ask for: the loader has one page of a file
 * of its own mapped, and both the page tables and the page cache lead to it. With pages of 4 KiB and tables of four or five levels, as x86-64 and
 * most arm64 machines have them.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "crash_files.h"
#include "crash_maps.h"
#include "kernel.h"
#include "load.h"

#define MEMORY_MAP_ALIGNMENT (1ull << 30) /* of its address to that of physical memory, on both architectures */
#define CALIBRATION_STEPS_MAX 4096 /* so much memory, in GiB, may lie below the page table */
#define TABLE_PRESENT 1
#define TABLE_ADDRESS 0x00003ffffffff000ull /* without the bits that encrypt memory */
#define FIVE_LEVELS_END 0xffff800000000000ull /* the map is below where tables have five levels */

/* What the loader passes. */
struct calibration {
	__u64 address; /* of the mapped page */
	__u64 fd;      /* of its file */
	__u64 mark;    /* the page's first word */
};

/* Follows a table one level down. table: its address in the map that begins at base. Returns the entry's physical address; 0: there is none. */
static __always_inline __u64 table_entry(__u64 table, __u64 address, __u32 shift)
{
	__u64 entry = 0;

	bpf_probe_read_kernel(&entry, sizeof(entry), (void *)(table + (address >> shift & 511) * 8));
	return entry & TABLE_PRESENT ? entry & TABLE_ADDRESS : 0;
}

/* The physical address of the page at `address`, if the map of memory begins at base and the page has the mark; 0: not so. */
__noinline __u64 page_if_map_at(__u64 base, __u64 top, __u64 address, __u64 mark)
{
	__u64 found, word = 0;

	if (!captures_crashes())
		return 0;
	if (top < FIVE_LEVELS_END) {
		found = table_entry(top, address, 48);
		if (!found)
			return 0;
		top = base + found;
	}
	found = table_entry(top, address, 39);
	if (found)
		found = table_entry(base + found, address, 30);
	if (found)
		found = table_entry(base + found, address, 21);
	if (found)
		found = table_entry(base + found, address, 12);
	if (!found || bpf_probe_read_kernel(&word, sizeof(word), (void *)(base + found)) || word != mark)
		return 0;
	return found;
}

/* The page cache of a file of current, as a number. */
static __always_inline __u64 cache_of_descriptor(__u64 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file **files = BPF_CORE_READ(task, files, fdt, fd);
	struct file *file = NULL;

	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return (__u64)BPF_CORE_READ(file, f_inode, i_mapping);
}

/* Keeps both addresses in the directory if they lead to the mark. Returns 0 then. */
static __always_inline int calibrate_memory(const struct calibration *known)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct crash_directory *directory = the_crash_directory();
	__u64 top = (__u64)BPF_CORE_READ(task, mm, pgd), cache = cache_of_descriptor(known->fd);
	__u64 page = 0, base = 0, entry, word = 0;

	if (!directory)
		return 1;
	for (__u64 i = 0; i < CALIBRATION_STEPS_MAX; i++) {
		base = (top & ~(MEMORY_MAP_ALIGNMENT - 1)) - i * MEMORY_MAP_ALIGNMENT;
		page = page_if_map_at(base, top, known->address, known->mark);
		if (page)
			break;
	}
	entry = (__u64)BPF_CORE_READ((struct address_space *)cache, i_pages.xa_head);
	if (!page || !entry || entry & ENTRY_KIND)
		return 1;
	directory->page_structures = entry - page / CRASH_PAGE * bpf_core_type_size(struct page);
	directory->memory_map = base;
	if (!bpf_probe_read_kernel(&word, sizeof(word), (void *)cached_page(cache, 0)) && word == known->mark)
		return 0;
	directory->memory_map = 0;
	return 1;
}
