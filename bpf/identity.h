/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What the memory of current says of who it is: the GNU build id of its executable, and the context that it publishes for readers
 * outside of it (OpenTelemetry's OTEP 4719). Both are read when it dies, from the memory of that very process: there is no other
 * that they could be mistaken for. Arguments and environment are in read.h and record.h.
 */
#pragma once

/* include/uapi/linux/auxvec.h, include/uapi/linux/elf.h */
#define AT_PHDR 3
#define AT_PHNUM 5
#define PT_NOTE 4
#define NT_GNU_BUILD_ID 3
#define ELF_HEADER_BYTES 64 /* Elf64_Ehdr: the program headers follow it in every file that is usual */
#define ELF_MAGIC 0x464c457f /* \x7fELF */
#define ELFCLASS64 2
/* include/linux/mm.h */
#define VM_DONTCOPY 0x00020000

#define AUXV_PAIRS_MAX 24
#define PROGRAM_HEADERS_MAX 16
#define NOTES_MAX 4
#define MAPPINGS_MAX 4096
#define CONTEXT_VERSION 2

struct elf_header {
	__u32 magic;
	__u8 class;
	__u8 rest[27];
	__u64 phoff;
	__u8 last[24];
};

struct program_header {
	__u32 type;
	__u32 flags;
	__u64 offset;
	__u64 vaddr;
	__u64 paddr;
	__u64 filesz;
	__u64 memsz;
	__u64 align;
};

struct note {
	__u32 name_bytes;
	__u32 bytes;
	__u32 type;
	__u32 name;
};

#define NOTE_NAME_GNU 0x00554e47 /* GNU and its NUL */

/* What the kernel gave the process to start with, as pairs (create_elf_tables() of fs/binfmt_elf.c), and keeps. */
struct auxiliary_vector {
	__u64 pairs[2 * AUXV_PAIRS_MAX];
};

/*
 * Reads the executable's first page, at whose front are the ELF header and the program headers. Returns how many there are, PROGRAM_HEADERS_MAX
 * at most, and where the page lies; 0: they are not as usual.
 */
static __always_inline __u64 read_executable(struct record *record, struct mm_struct *mm, __u64 *page)
{
	struct auxiliary_vector *auxv = (void *)record->page;
	struct elf_header *header = (void *)record->page;
	__u64 headers = 0, count = 0;

	if (bpf_probe_read_kernel(auxv, sizeof(*auxv), (void *)mm + bpf_core_field_offset(struct mm_struct, saved_auxv)))
		return 0;
	UNROLL
	for (int i = 0; i < 2 * AUXV_PAIRS_MAX; i += 2) {
		if (auxv->pairs[i] == AT_PHDR)
			headers = auxv->pairs[i + 1];
		if (auxv->pairs[i] == AT_PHNUM)
			count = auxv->pairs[i + 1];
	}
	*page = headers - ELF_HEADER_BYTES;
	if (bpf_probe_read_user(record->page, PAGE_BYTES, (void *)*page))
		return 0;
	if (header->magic != ELF_MAGIC || header->class != ELFCLASS64 || header->phoff != ELF_HEADER_BYTES)
		return 0;
	return count > PROGRAM_HEADERS_MAX ? PROGRAM_HEADERS_MAX : count;
}

static __always_inline struct program_header *program_headers(struct record *record)
{
	return (void *)record->page + ELF_HEADER_BYTES;
}

/* Appends the build id among the notes at that place of the page, if it is one of them. */
__u64 append_note(__u32 user, __u64 at, __u64 offset, __u64 align)
{
	struct record *record = scratch(user);
	struct note *note;
	__u64 bytes;

	if (!record)
		return at;
	UNROLL
	for (int i = 0; i < NOTES_MAX; i++) {
		note = (void *)record->page + (offset & (PAGE_BYTES - 1));
		bytes = note->bytes;
		if (note->type == NT_GNU_BUILD_ID && note->name_bytes == 4 && note->name == NOTE_NAME_GNU) {
			if (!bytes || bytes > BUILD_ID_BYTES_MAX || offset + sizeof(*note) + bytes > PAGE_BYTES)
				return at;
			return append(record, at, PART_BUILD_ID, note + 1, bytes);
		}
		offset += 12 + ((note->name_bytes + 3) & ~3ull);
		offset += (bytes + align - 1) & ~(align - 1);
	}
	return at;
}

/*
 * By way of the program headers. Only a note that lies in the file's first page is read: it is certainly of the same file. So linkers
 * place it; Go's own has it right behind the segment of notes.
 */
__u64 append_build_id(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct record *record = scratch(user);
	struct program_header *segment;
	__u64 count, page, next;

	if (!record || !mm)
		return at;
	segment = program_headers(record);
	count = read_executable(record, mm, &page);
	UNROLL
	for (int i = 0; i < PROGRAM_HEADERS_MAX; i++) {
		if (i >= count)
			return at;
		if (segment[i].type != PT_NOTE)
			continue;
		next = append_note(user, at, segment[i].offset, segment[i].align == 8 ? 8 : 4);
		if (next != at)
			return next;
	}
	return at;
}

/* Open-coded iterators: from Linux 6.7 on. */
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

/* "OTEL_CTX", and the "memfd:" that memfd_create(2) puts before it, as numbers. Whatever follows is left open, as the OTEP does. */
#define CONTEXT_SIGNATURE 0x5854435f4c45544full
#define MEMFD_PREFIX 0x3a64666d656dull
#define MEMFD_PREFIX_MASK 0xffffffffffffull
#define MEMFD_PREFIX_BYTES 6

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
 * Appends what current publishes, as it lies in memory; nothing if it is not whole. The protocol has the mapping kept from children
 * (MADV_DONTFORK), which few are: that is looked at first. From the stack on, the mappings are the kernel's own (vvar, vdso), as mmap(2)
 * finds room below it (arch_get_unmapped_area_topdown() and its like). Nobody writes to it any more. The mappings are counted in the record: a
 * number that the verifier knows would make it look at each of them.
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
	__u64 bytes, stack;

	if (!record || !out || !mm || !bpf_core_type_exists(struct bpf_iter_task_vma___kernel))
		return at;
	record->mappings = 0;
	stack = READ(mm, start_stack);
	bpf_iter_task_vma_new(&mappings, bpf_get_current_task_btf(), 0);
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
