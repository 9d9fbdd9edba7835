/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * glibc's last word before abort(3): what assert(3), malloc's checks and the stack protector said. __abort_msg (stdlib/abort.c,
 * GLIBC_PRIVATE, in .dynsym) points to it; it is looked up by the GNU hash in the memory of the crashed process.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "crash_maps.h"
#include "crash_slot.h"
#include "elf.h"
#include "kernel.h"
#include "symbols.h"

/* "libc.s" of libc.so.6, "libc-2" of libc-2.31.so, as numbers. */
#define LIBC_NAME_BYTES 6
#define LIBC_NAME_MASK 0xffffffffffffull
#define LIBC_NAME 0x732e6362696cull
#define LIBC_NAME_VERSIONED 0x322d6362696cull

/* "__abort_msg" and its NUL, and its hash (glibc's elf/dl-new-hash.h). */
#define ABORT_MESSAGE_HASH 0xefecb681u
#define ABORT_MESSAGE_NAME_BYTES 12
#define ABORT_MESSAGE_NAME_0 0x5f74726f62615f5full
#define ABORT_MESSAGE_NAME_1 0x0067736dull

#define ABORT_CHAIN_MAX 32
#define LIBC_DYNAMIC_MAX 64
#define MESSAGE_TEXT_AT 4 /* struct abort_msg_s: its size, then the text */
#define GNU_HASH_HEAD_BYTES 16

/* Where the C library is mapped from its first byte on; 0: it is not glibc, or not found. */
__noinline __u64 find_libc(__u32 which)
{
	struct crash_slot *slot = crash_slot_at(which);

	if (!captures_crashes() || !slot)
		return 0;
	for (int i = 0; i < MODULES_MAX; i++) {
		struct crash_mapping *module = &slot->mappings[MAPPING_OF_MODULES + i];
		__u64 at = module->path_at;
		__u64 name = 0;

		if ((__u64)i >= slot->modules_count)
			break;
		if (!module->inode || at > MODULE_PATHS_BYTES)
			continue;
		bpf_probe_read_kernel(&name, LIBC_NAME_BYTES, slot->paths + at);
		if (name == LIBC_NAME || name == LIBC_NAME_VERSIONED)
			return module->start - module->offset;
	}
	return 0;
}

/* Finds the tables of the object at base. Returns 0 if one is missing. */
__noinline __u64 read_libc_dynamic(__u32 which, __u64 base)
{
	struct crash_slot *slot = crash_slot_at(which);
	struct crash_work *work;

	if (!captures_crashes() || !slot)
		return 0;
	work = &slot->work;
	work->dynamic = work->hash = work->symbols = work->names = 0;
	if (bpf_probe_read_user(work->words, ELF_HEADER_BYTES + PROGRAM_HEADERS_MAX * sizeof(struct program_header),
				(void *)base))
		return 0;
	for (int i = 0; i < PROGRAM_HEADERS_MAX; i++) {
		struct program_header *segment = (void *)work->words + ELF_HEADER_BYTES + i * sizeof(*segment);

		if (segment->type == PT_DYNAMIC)
			work->dynamic = base + segment->vaddr;
	}
	if (!work->dynamic || bpf_probe_read_user(work->words, LIBC_DYNAMIC_MAX * 16, (void *)work->dynamic))
		return 0;
	for (int i = 0; i < LIBC_DYNAMIC_MAX; i++) {
		__u64 tag = work->words[2 * i], value = work->words[2 * i + 1];

		if (tag == DT_NULL)
			break;
		value += value < base ? base : 0; /* glibc relocates it in place */
		if (tag == DT_GNU_HASH)
			work->hash = value;
		else if (tag == DT_SYMTAB)
			work->symbols = value;
		else if (tag == DT_STRTAB)
			work->names = value;
	}
	return work->hash && work->symbols && work->names;
}

/* Whether the symbol with this number is __abort_msg. Returns its value; 0: it is not. */
__noinline __u64 abort_message_symbol(__u32 which, __u64 number)
{
	struct crash_slot *slot = crash_slot_at(which);
	struct elf_symbol symbol = {};
	__u64 name[2] = {};

	if (!captures_crashes() || !slot)
		return 0;
	if (bpf_probe_read_user(&symbol, sizeof(symbol), (void *)(slot->work.symbols + number * sizeof(symbol))))
		return 0;
	if (bpf_probe_read_user(name, ABORT_MESSAGE_NAME_BYTES, (void *)(slot->work.names + symbol.name)))
		return 0;
	return name[0] == ABORT_MESSAGE_NAME_0 && name[1] == ABORT_MESSAGE_NAME_1 ? symbol.value : 0;
}

/* The address of __abort_msg in the file; 0: not found. The GNU hash: its head, a Bloom filter, the buckets, the chains. */
__noinline __u64 find_abort_message(__u32 which)
{
	struct crash_slot *slot = crash_slot_at(which);
	__u32 head[4] = {}, number = 0, hash = 0;
	__u64 buckets, chains, value;

	if (!captures_crashes() || !slot)
		return 0;
	if (bpf_probe_read_user(head, sizeof(head), (void *)slot->work.hash) || !head[0])
		return 0;
	buckets = slot->work.hash + GNU_HASH_HEAD_BYTES + 8ull * head[2];
	chains = buckets + 4ull * head[0];
	if (bpf_probe_read_user(&number, sizeof(number), (void *)(buckets + ABORT_MESSAGE_HASH % head[0] * 4ull)) ||
	    number < head[1])
		return 0;
	for (int i = 0; i < ABORT_CHAIN_MAX; i++) {
		__u64 symbol = (__u64)number + i;

		if (bpf_probe_read_user(&hash, sizeof(hash), (void *)(chains + (symbol - head[1]) * 4)))
			return 0;
		if ((hash | 1) == (ABORT_MESSAGE_HASH | 1)) {
			value = abort_message_symbol(which, symbol);
			if (value)
				return value;
		}
		if (hash & 1)
			return 0;
	}
	return 0;
}

__noinline __u64 copy_abort_message(__u32 which)
{
	struct crash_slot *slot = crash_slot_at(which);
	__u64 base, variable, message = 0;
	long bytes;

	if (!captures_crashes() || !slot)
		return 0;
	base = find_libc(which);
	if (!base || !read_libc_dynamic(which, base))
		return 0;
	variable = find_abort_message(which);
	if (!variable || bpf_probe_read_user(&message, sizeof(message), (void *)(base + variable)) || !message)
		return 0;
	bytes = bpf_probe_read_user_str(slot->message, ABORT_MESSAGE_BYTES, (void *)(message + MESSAGE_TEXT_AT));
	if (bytes > 0)
		slot->message_bytes = bytes;
	return 0;
}
