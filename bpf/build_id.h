/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PART_BUILD_ID, PART_GO_BUILD_ID: the build ids of current's executable, from user memory at the exit (docs/decisions/0034). Only
 * programs that Go's linker made have Go's note.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "elf.h"
#include "kernel.h"
#include "load.h"
#include "paths.h"
#include "scratch.h"

#define NT_GNU_BUILD_ID 3 /* include/uapi/linux/elf.h */
#define NT_GO_BUILD_ID 4 /* src/cmd/link/internal/ld/elf.go: ELF_NOTE_GOBUILDID_TAG */
#define NOTES_MAX 4

struct note {
	__u32 name_bytes;
	__u32 bytes;
	__u32 type;
	__u32 name;
};
_Static_assert(sizeof(struct note) == 16, "Elf64_Nhdr and a name of four bytes");
_Static_assert(sizeof(struct note) <= sizeof(((struct record *)0)->behind_page),
	       "a note may begin in the last bytes of the page");

#define NOTE_NAME_GNU 0x00554e47 /* "GNU" and its NUL */
#define NOTE_NAME_GO 0x00006f47 /* "Go" and two NULs */

struct note_kind {
	enum part_kind part;
	__u32 type;
	__u32 name;
	__u64 bytes_max;
};

/*
 * Appends the build id of this kind if it is among the notes at `offset` of the page. Inline, with a constant kind: verifiers before 6.8
 * learn no bounds from a comparison of two registers.
 */
static __always_inline __u64 append_note(__u32 user, __u64 at, struct note_kind kind, __u64 offset, __u64 align)
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
		if (note->type == kind.type && note->name_bytes == 4 && note->name == kind.name) {
			if (!bytes || offset + sizeof(*note) + bytes > PAGE_BYTES)
				return at;
			/* By itself: merged with !bytes, it would bound a copy, and not what is passed on. */
			barrier_var(bytes);
			if (bytes > kind.bytes_max)
				return at;
			return append(record, at, kind.part, note + 1, bytes);
		}
		offset += 12 + ((note->name_bytes + 3) & ~3ull);
		offset += (bytes + align - 1) & ~(align - 1);
	}
	return at;
}

__u64 append_gnu_note(__u32 user, __u64 at, __u64 offset, __u64 align)
{
	return append_note(user, at, (struct note_kind){PART_BUILD_ID, NT_GNU_BUILD_ID, NOTE_NAME_GNU, BUILD_ID_BYTES_MAX},
			   offset, align);
}

__u64 append_go_note(__u32 user, __u64 at, __u64 offset, __u64 align)
{
	return append_note(user, at, (struct note_kind){PART_GO_BUILD_ID, NT_GO_BUILD_ID, NOTE_NAME_GO, GO_BUILD_ID_BYTES_MAX},
			   offset, align);
}

/*
 * Appends the build ids of current's executable. Only a note in the file's first page is read: that page certainly belongs to the
 * same file, and linkers place the note there. Go's linker places it directly behind the first note of the segment.
 */
__u64 append_build_id(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct record *record = scratch(user);
	struct program_header *segment;
	__u64 count, page, align, gnu = at, go;

	if (!record || !mm)
		return at;
	segment = program_headers(record);
	count = read_executable(record, mm, &page);
	UNROLL
	for (int i = 0; i < PROGRAM_HEADERS_MAX; i++) {
		if ((__u64)i >= count)
			break;
		if (segment[i].type != PT_NOTE)
			continue;
		align = segment[i].align == 8 ? 8 : 4;
		if (gnu == at)
			gnu = append_gnu_note(user, at, segment[i].offset, align);
		/* The last one: external linkers place it behind the GNU note, in the same segment or in a later one. */
		go = append_go_note(user, gnu, segment[i].offset, align);
		if (go != gnu)
			return go;
	}
	return gnu;
}
