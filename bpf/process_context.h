/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PART_CONTEXT: the resource that a process publishes for outside readers (OpenTelemetry's OTEP 4719), from user memory at the
 * exit (docs/decisions/0034). Needs the iterator of mappings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "event.h"
#include "features.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "scratch.h"
#include "task.h"

#define VM_DONTCOPY 0x00020000 /* include/linux/mm.h */

#define MAPPINGS_MAX 4096
#define CONTEXT_VERSION 2

/* Open-coded iterators (6.7). */
struct bpf_iter_task_vma {
	__u64 opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, __u64 address) __ksym __weak;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __ksym __weak;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __ksym __weak;

/* The header of a published context (OTEP 4719, "Header Structure"). */
struct context_header {
	__u64 signature;
	__u32 version;
	__u32 payload_bytes;
	__u64 published_at_ns; /* 0: it is being written */
	__u64 payload;
};
_Static_assert(sizeof(struct context_header) == 32 && offsetof(struct context_header, published_at_ns) == 16,
	       "as OTEP 4719 lays it out");

/* "OTEL_CTX", and the "memfd:" that memfd_create(2) puts before it, as numbers. The OTEP allows any suffix. */
#define CONTEXT_SIGNATURE 0x5854435f4c45544full
#define MEMFD_PREFIX 0x3a64666d656dull
#define MEMFD_PREFIX_MASK 0xffffffffffffull
#define MEMFD_PREFIX_BYTES 6

/* Whether the mapping has the name of a published context, as a memfd or by prctl(PR_SET_VMA_ANON_NAME). */
static __always_inline bool is_context(struct vm_area_struct *mapping)
{
	struct file *file = READ(mapping, vm_file);
	struct anon_vma_name *anonymous;
	__u64 prefix = 0, name = 0;

	if (file) {
		const unsigned char *of_file = READ(file, f_path.dentry, d_name.name);

		bpf_probe_read_kernel(&prefix, sizeof(prefix), of_file);
		bpf_probe_read_kernel(&name, sizeof(name), of_file + MEMFD_PREFIX_BYTES);
		if ((prefix & MEMFD_PREFIX_MASK) == MEMFD_PREFIX && name == CONTEXT_SIGNATURE)
			return true;
	}
	if (!bpf_core_field_exists(mapping->anon_name))
		return false;
	anonymous = READ(mapping, anon_name);
	if (!anonymous)
		return false;
	bpf_probe_read_kernel(&name, sizeof(name), (void *)anonymous + bpf_core_field_offset(struct anon_vma_name, name));
	return name == CONTEXT_SIGNATURE;
}

/*
 * Appends the context that current publishes, as it is in memory; nothing if it is incomplete. No thread writes to it any more.
 * OTEP 4719 asks for MADV_DONTFORK, which few mappings have: that is tested first. The search ends at the stack: mmap(2)
 * allocates below it (arch_get_unmapped_area_topdown() and the like), and the mappings above are the kernel's (vvar, vdso). It begins
 * behind the executable and its heap where these lie far below the area of mmap(2), as they nearly always do. The
 * mappings are counted in the record and not on the stack: the verifier would unroll a loop whose count it knows.
 */
__u64 append_context(__u32 user, __u64 at)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(current, mm);
	struct record *record = scratch(user);
	char *out = part_at(record, at);
	struct context_header header = {};
	struct bpf_iter_task_vma mappings;
	struct vm_area_struct *mapping;
	bool found = false;
	__u64 bytes, stack, first;

	if (!record || !out || !mm || !has_task_vma_iterator())
		return at;
	record->mappings = 0;
	stack = READ(mm, start_stack);
	first = READ(mm, brk);
	if (first > READ(mm, mmap_base) / 4 * 3) /* also where mmap(2) allocates upwards, from its base */
		first = 0;
	bpf_iter_task_vma_new(&mappings, bpf_get_current_task_btf(), first);
	while (!found && (mapping = bpf_iter_task_vma_next(&mappings))) {
		if (READ(mapping, vm_end) > stack || record->mappings++ >= MAPPINGS_MAX)
			break;
		if (!(READ(mapping, vm_flags) & VM_DONTCOPY) || !is_context(mapping))
			continue;
		if (bpf_probe_read_user(&header, sizeof(header), (void *)READ(mapping, vm_start)))
			continue;
		found = header.signature == CONTEXT_SIGNATURE && header.version == CONTEXT_VERSION;
	}
	bpf_iter_task_vma_destroy(&mappings);
	bytes = header.payload_bytes;
	if (!found || !header.published_at_ns || !bytes || bytes > CONTEXT_BYTES_MAX)
		return at;
	if (copy_user(out, header.payload, bytes) != bytes)
		return at;
	return end_part(record, at, PART_CONTEXT, bytes);
}
