/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ELF types that are read from user memory, and reading the first page of current's executable.
 */
#pragma once

#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "kernel.h"
#include "paths.h"
#include "scratch.h"

/* include/uapi/linux/auxvec.h, include/uapi/linux/elf.h */
#define AT_PHDR 3
#define AT_PHNUM 5
#define PT_LOAD 1
#define PT_DYNAMIC 2
#define PT_NOTE 4
#define PT_TLS 7
#define PT_GNU_EH_FRAME 0x6474e550
#define ELF_HEADER_BYTES 64 /* Elf64_Ehdr: the program headers follow directly in all common files */
#define ELF_MAGIC 0x464c457f /* \x7fELF */
#define ELFCLASS64 2

#define AUXV_PAIRS_MAX 24
#define PROGRAM_HEADERS_MAX 16

struct elf_header {
	__u32 magic;
	__u8 class;
	__u8 rest[27];
	__u64 phoff;
	__u8 last[24];
};
_Static_assert(sizeof(struct elf_header) == ELF_HEADER_BYTES && offsetof(struct elf_header, phoff) == 32, "Elf64_Ehdr");

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
_Static_assert(sizeof(struct program_header) == 56, "Elf64_Phdr");
_Static_assert(ELF_HEADER_BYTES + PROGRAM_HEADERS_MAX * sizeof(struct program_header) <= PAGE_BYTES,
	       "the headers are in the first page");

/* The auxiliary vector, as pairs of type and value (create_elf_tables() of fs/binfmt_elf.c); the kernel keeps a copy. */
struct auxiliary_vector {
	__u64 pairs[2 * AUXV_PAIRS_MAX];
};
_Static_assert(sizeof(struct auxiliary_vector) <= PAGE_BYTES, "read into the page");

/*
 * Reads the executable's first page, which begins with the ELF header and the program headers. Returns the number of program
 * headers, PROGRAM_HEADERS_MAX at most, and the address of the page; 0: they are elsewhere, or not resident.
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
