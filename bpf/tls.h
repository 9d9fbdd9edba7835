/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding the address of otel_thread_ctx_v1 for one thread: in each loaded object, by the relocation of the variable. Part of
 * the search for a thread's context (thread_context.h).
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "features.h"
#include "kernel.h"
#include "scratch.h"
#include "symbols.h"

#define OBJECTS_MAX 512
#define RELOCATIONS_MAX 8192
#define STATIC_TLS_BYTES_MAX 0x400000 /* no object is loaded below (ELF executables of arm64 begin there) */

/* The psABIs of x86-64 and arm64; the numbers do not overlap. */
#define R_X86_64_DTPMOD64 16
#define R_X86_64_TPOFF64 18
#define R_X86_64_TLSDESC 36
#define R_AARCH64_TLS_DTPMOD 1028
#define R_AARCH64_TLS_TPREL 1030
#define R_AARCH64_TLSDESC 1031

struct relocation {
	__u64 offset;
	__u64 info;
	__u64 addend;
};
_Static_assert(sizeof(struct relocation) == 24, "Elf64_Rela");

struct link_map {
	__u64 bias;
	__u64 name;
	__u64 dynamic;
	__u64 next;
};
_Static_assert(sizeof(struct link_map) == 32, "the public head of glibc's and musl's struct link_map");

/*
 * The address of the module's variable for this thread, from the thread's dtv (glibc's dtv_t, nptl/descr.h): the word before the
 * vector is its length, the first word its generation; an entry has 16 bytes, and is -1 until the thread first accesses the
 * module.
 */
static __always_inline __u64 in_module(struct search *search, __u64 module, __u64 offset, __u64 generation)
{
	__u64 vector, length, current_generation, block;

	if (!read_limited(search, &vector, 8, search->thread_pointer + search->vector_at) ||
	    !read_limited(search, &length, 8, vector - 16) || !read_limited(search, &current_generation, 8, vector))
		return 0;
	if (!module || module > length || generation > current_generation)
		return 0;
	if (!read_limited(search, &block, 8, vector + module * 16) || !block || block == -1ull)
		return 0;
	return block + offset;
}

/* The address of the thread's variable, from what the dynamic linker wrote for a relocation at `at`; 0: not known. */
static __always_inline __u64 by_relocation(struct search *search, __u64 type, __u64 at)
{
	__u64 words[3];

	if (!read_limited(search, words, 16, at))
		return 0;
	if (type == R_X86_64_TPOFF64 || type == R_AARCH64_TLS_TPREL)
		return search->thread_pointer + words[0];
	if (type == R_X86_64_DTPMOD64 || type == R_AARCH64_TLS_DTPMOD)
		return in_module(search, words[0], search->value, 0);
	/*
	 * A descriptor: an offset from the thread pointer, or a pointer to module, offset and generation (struct
	 * tlsdesc_dynamic_arg).
	 */
	if ((__s64)words[1] < STATIC_TLS_BYTES_MAX)
		return search->thread_pointer + words[1];
	if (!read_limited(search, words, sizeof(words), words[1]))
		return 0;
	return in_module(search, words[0], words[1], words[2]);
}

/* Finds the relocation of the variable between `from` and `end`, and with it the variable. */
__u64 find_relocation(__u32 user, __u64 from, __u64 end)
{
	struct search *search = search_of(user);
	struct bpf_iter_num entries;
	struct relocation entry;
	__u64 type;
	int *i;

	if (!search || !has_task_vma_iterator())
		return 0;
	search->variable = 0;
	bpf_iter_num_new(&entries, 0, RELOCATIONS_MAX);
	while ((i = bpf_iter_num_next(&entries))) {
		__u64 at = from + (__u64)*i * sizeof(entry);

		if (at >= end || !read_limited(search, &entry, sizeof(entry), at))
			break;
		type = entry.info & 0xffffffff;
		if (type != R_X86_64_TLSDESC && type != R_X86_64_TPOFF64 && type != R_X86_64_DTPMOD64 &&
		    type != R_AARCH64_TLSDESC && type != R_AARCH64_TLS_TPREL && type != R_AARCH64_TLS_DTPMOD)
			continue;
		/* With -Bsymbolic the relocation names no symbol but an offset, or only the module. */
		if (entry.info >> 32 != search->symbol &&
		    (entry.info >> 32 ||
		     (entry.addend != search->value && type != R_X86_64_DTPMOD64 && type != R_AARCH64_TLS_DTPMOD)))
			continue;
		search->variable = by_relocation(search, type, search->bias + entry.offset);
		break;
	}
	bpf_iter_num_destroy(&entries);
	return search->variable != 0;
}

/*
 * The executable's own variables have no relocation: the static linker computes their offset from the thread pointer ("ELF
 * Handling For Thread-Local Storage": variant II on x86-64, below the thread pointer; variant I on arm64, behind two words).
 */
static __always_inline __u64 in_executable(const struct search *search)
{
	__u64 mask = search->tls_align - 1;

	if (!search->tls_bytes)
		return 0;
	if (bpf_core_field_exists(((struct thread_struct___x86 *)0)->fsbase))
		return search->thread_pointer + search->value - search->tls_bytes -
		       ((-search->tls_address - search->tls_bytes) & mask);
	return search->thread_pointer + search->value + 16 + ((search->tls_address - 16) & mask);
}

/* Searches the current object. Leaves the object's DT_DEBUG, the head of the linker's list, in `debug`. */
__u64 look_into_object(__u32 user, __u64 is_executable)
{
	struct search *search = search_of(user);

	if (!search || !has_task_vma_iterator() || !read_dynamic(user) || !find_symbol(user))
		return 0;
	search->found = 1; /* the first definition in the order of the list counts */
	if (is_executable) {
		search->variable = in_executable(search);
		return search->variable != 0;
	}
	if (find_relocation(user, search->lazy_relocations, search->lazy_relocations + search->lazy_relocations_bytes))
		return 1;
	return find_relocation(user, search->relocations + search->relative_count * sizeof(struct relocation),
			       search->relocations + search->relocations_bytes);
}

/*
 * Searches the executable, then the linker's list (struct r_debug and struct link_map, glibc's elf/link.h), which begins with it.
 */
__u64 find_variable(__u32 user)
{
	struct search *search = search_of(user);
	struct bpf_iter_num objects;
	struct link_map object;
	__u64 found;

	if (!search || !has_task_vma_iterator() || !find_executable(user))
		return 0;
	found = look_into_object(user, 1);
	if (found || search->found || !search->debug || !read_limited(search, &search->next, 8, search->debug + 8) ||
	    !read_limited(search, &object, sizeof(object), search->next))
		return found;
	search->next = object.next;
	bpf_iter_num_new(&objects, 0, OBJECTS_MAX);
	while (!search->found && search->next && bpf_iter_num_next(&objects)) {
		if (!read_limited(search, &object, sizeof(object), search->next))
			break;
		search->next = object.next;
		search->bias = object.bias;
		search->dynamic = object.dynamic;
		found = look_into_object(user, 0);
	}
	bpf_iter_num_destroy(&objects);
	return found;
}
