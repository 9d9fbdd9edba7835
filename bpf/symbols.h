/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding the symbol of the thread-local variable otel_thread_ctx_v1 in an object of the exiting process, as a debugger does it:
 * program headers, dynamic section, hash table. Part of the search for a thread's context (thread_context.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "elf.h"
#include "features.h"
#include "kernel.h"
#include "load.h"
#include "paths.h"
#include "scratch.h"

#define READS_MAX 16384 /* of user memory, in one search: 1.6 ms at worst (docs/decisions/0039) */
#define DYNAMIC_MAX 256
#define CHAIN_MAX 1024

/* The generic ABI's "Dynamic Section" */
#define DT_NULL 0
#define DT_PLTRELSZ 2
#define DT_STRTAB 5
#define DT_SYMTAB 6
#define DT_RELA 7
#define DT_RELASZ 8
#define DT_DEBUG 21
#define DT_JMPREL 23
#define DT_GNU_HASH 0x6ffffef5
#define DT_RELACOUNT 0x6ffffff9
#define STT_TLS 6

/* "otel_thread_ctx_v1" and its NUL, as numbers, and its hash (glibc's elf/dl-new-hash.h). */
#define VARIABLE_NAME_BYTES 19
#define VARIABLE_NAME_0 0x7268745f6c65746full
#define VARIABLE_NAME_1 0x5f7874635f646165ull
#define VARIABLE_NAME_2 0x3176ull
#define VARIABLE_HASH 0x976c2864ull

struct elf_symbol {
	__u32 name;
	__u8 info;
	__u8 other;
	__u16 section;
	__u64 value;
	__u64 bytes;
};
_Static_assert(sizeof(struct elf_symbol) == 24, "Elf64_Sym");

/* Open-coded iterators of numbers (6.4): present wherever that of mappings is. */
struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym __weak;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym __weak;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym __weak;

static __always_inline struct search *search_of(__u32 user)
{
	struct record *record = scratch(user);

	return record ? &record->search : NULL;
}

/* Reads user memory of the exiting process. False: it is not resident, or READS_MAX is reached. */
static __always_inline bool read_limited(struct search *search, void *out, __u32 bytes, __u64 from)
{
	return search->reads++ < READS_MAX && !bpf_probe_read_user(out, bytes, (void *)from);
}

/* An address from a dynamic section: glibc relocates it in place, musl leaves it as in the file. */
static __always_inline __u64 relocated(const struct search *search, __u64 address)
{
	return address < search->bias ? address + search->bias : address;
}

/*
 * Finds the executable's load address, dynamic section and thread-local segment. Like all steps of the search, this is a global
 * function and returns 1 if it found what it looks for, else 0.
 */
__u64 find_executable(__u32 user)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct record *record = scratch(user);
	struct program_header *segment;
	__u64 count, page, dynamic = 0;
	struct search *search;

	if (!record || !mm || !has_task_vma_iterator())
		return 0;
	search = &record->search;
	segment = program_headers(record);
	count = read_executable(record, mm, &page);
	search->bias = 0;
	search->tls_bytes = 0;
	UNROLL
	for (int i = 0; i < PROGRAM_HEADERS_MAX; i++) {
		if ((__u64)i >= count)
			break;
		if (segment[i].type == PT_LOAD && !segment[i].offset)
			search->bias = page - segment[i].vaddr;
		if (segment[i].type == PT_DYNAMIC)
			dynamic = segment[i].vaddr;
		if (segment[i].type == PT_TLS) {
			search->tls_bytes = segment[i].memsz;
			search->tls_address = segment[i].vaddr;
			search->tls_align = segment[i].align ? segment[i].align : 1;
		}
	}
	search->dynamic = dynamic ? search->bias + dynamic : 0;
	return dynamic != 0;
}

/* Reads the dynamic section of the current object: where its tables lie. */
__u64 read_dynamic(__u32 user)
{
	struct search *search = search_of(user);
	struct bpf_iter_num entries;
	int *i;

	if (!search || !has_task_vma_iterator())
		return 0;
	search->hash = search->symbols = search->names = search->debug = 0;
	search->relocations = search->relocations_bytes = search->relative_count = 0;
	search->lazy_relocations = search->lazy_relocations_bytes = 0;
	bpf_iter_num_new(&entries, 0, DYNAMIC_MAX);
	while ((i = bpf_iter_num_next(&entries))) {
		if (!read_limited(search, search->words, 16, search->dynamic + (__u64)*i * 16))
			break;
		if (search->words[0] == DT_NULL)
			break;
		if (search->words[0] == DT_GNU_HASH)
			search->hash = relocated(search, search->words[1]);
		else if (search->words[0] == DT_SYMTAB)
			search->symbols = relocated(search, search->words[1]);
		else if (search->words[0] == DT_STRTAB)
			search->names = relocated(search, search->words[1]);
		else if (search->words[0] == DT_RELA)
			search->relocations = relocated(search, search->words[1]);
		else if (search->words[0] == DT_RELASZ)
			search->relocations_bytes = search->words[1];
		else if (search->words[0] == DT_RELACOUNT)
			search->relative_count = search->words[1];
		else if (search->words[0] == DT_JMPREL)
			search->lazy_relocations = relocated(search, search->words[1]);
		else if (search->words[0] == DT_PLTRELSZ)
			search->lazy_relocations_bytes = search->words[1];
		else if (search->words[0] == DT_DEBUG)
			search->debug = search->words[1];
	}
	bpf_iter_num_destroy(&entries);
	return search->hash && search->symbols && search->names;
}

/* Whether this symbol defines the variable. If so, keeps its number and its value, the offset in the thread-local segment. */
static __always_inline bool is_variable(struct search *search, __u64 number)
{
	struct elf_symbol symbol;
	__u64 name[3] = {};

	if (!read_limited(search, &symbol, sizeof(symbol), search->symbols + number * sizeof(symbol)))
		return false;
	if ((symbol.info & 15) != STT_TLS || !symbol.section)
		return false;
	if (!read_limited(search, name, VARIABLE_NAME_BYTES, search->names + symbol.name))
		return false;
	if (name[0] != VARIABLE_NAME_0 || name[1] != VARIABLE_NAME_1 || name[2] != VARIABLE_NAME_2)
		return false;
	search->symbol = number;
	search->value = symbol.value;
	return true;
}

/*
 * Looks the variable up in the GNU hash table, as glibc's do_lookup_x() does: Bloom filter, bucket, chain. The filter rejects
 * nearly all objects.
 */
__u64 find_symbol(__u32 user)
{
	struct search *search = search_of(user);
	__u64 filter_words, buckets, filter;
	struct bpf_iter_num links;
	__u32 head[4], hash;
	__u64 found = 0;

	if (!search || !has_task_vma_iterator() || !read_limited(search, head, sizeof(head), search->hash))
		return 0;
	filter_words = head[2];
	if (!head[0] || !filter_words || filter_words & (filter_words - 1))
		return 0;
	filter = search->hash + sizeof(head);
	buckets = filter + filter_words * 8;
	if (!read_limited(search, search->words, 8, filter + ((VARIABLE_HASH / 64) & (filter_words - 1)) * 8))
		return 0;
	if (!(search->words[0] >> (VARIABLE_HASH & 63) & 1) || !(search->words[0] >> (VARIABLE_HASH >> (head[3] & 31) & 63) & 1))
		return 0;
	if (!read_limited(search, &hash, sizeof(hash), buckets + VARIABLE_HASH % head[0] * 4) || hash < head[1])
		return 0;
	search->symbol = hash;
	search->chain = buckets + (__u64)head[0] * 4 - (__u64)head[1] * 4;
	bpf_iter_num_new(&links, 0, CHAIN_MAX);
	while (bpf_iter_num_next(&links)) {
		if (!read_limited(search, &hash, sizeof(hash), search->chain + search->symbol * 4))
			break;
		if ((hash | 1) == (VARIABLE_HASH | 1) && is_variable(search, search->symbol)) {
			found = 1;
			break;
		}
		if (hash & 1) /* end of the chain */
			break;
		search->symbol++;
	}
	bpf_iter_num_destroy(&links);
	return found;
}
