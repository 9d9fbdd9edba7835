/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PART_BUILD_ID: the GNU build id of current's executable, from user memory at the exit (docs/decisions/0034).
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

/* Appends the build id if it is among the notes at `offset` of the page. */
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
 * Appends the build id of current's executable. Only a note in the file's first page is read: that page certainly belongs to the
 * same file, and linkers place the note there. Go's linker places it directly behind the first note of the segment.
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
		if ((__u64)i >= count)
			return at;
		if (segment[i].type != PT_NOTE)
			continue;
		next = append_note(user, at, segment[i].offset, segment[i].align == 8 ? 8 : 4);
		if (next != at)
			return next;
	}
	return at;
}
