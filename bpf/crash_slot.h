/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is copied of a process when it crashes: a slot for each crash, which the loader maps, copies, zeroes and frees. Shared with Go.
 * Layouts of pinned maps: see event.h. Slots hold memory of the process; nothing of it reaches the ring.
 */
#pragma once

#include <stddef.h>

#include <linux/types.h>

#include "event.h"

#define CRASH_SLOTS 35
#define CRASH_PAGE_SETS 3
#define FILE_PAGES 110 /* of a set */
#define CRASH_PAGE 4096 /* even if the machine's pages are larger */
#define STACK_REGIONS 3
#define MAIN_STACK_PAGES 16
#define OTHER_STACK_PAGES 8
#define STACK_PAGES_MAX (MAIN_STACK_PAGES + (STACK_REGIONS - 1) * OTHER_STACK_PAGES)
#define MODULES_MAX 192
#define MODULE_PATHS_BYTES 24576
#define ABORT_MESSAGE_BYTES 1024
#define CODE_BYTES 16
#define REGISTER_WORDS 34 /* arm64's struct user_pt_regs; x86's struct pt_regs has 21 */

/* A mapping, and the file in it. Files are identified by the real inode, also below an overlay. */
struct crash_mapping {
	__u64 start;
	__u64 end;
	__u64 offset; /* in the file, in bytes */
	__u64 flags;  /* vm_flags */
	__u64 inode;  /* 0: no file */
	__s64 file_bytes;
	__s64 ctime_s;
	__u64 magic; /* of the file system */
	__u32 device;
	__u32 generation;
	__u32 links;
	__u32 is_executable; /* the file that execve(2) executed; 0 also if an older build copied it */
	__u32 path_at; /* in crash_slot.paths: names from the leaf to the root of the file system, each with its NUL */
	__u32 path_bytes;
};
_Static_assert(sizeof(struct crash_mapping) == 88, "no implicit padding");

enum mapping_place {
	MAPPING_OF_ADDRESS, /* that holds crash_slot.address; zeros: none does */
	MAPPING_ABOVE,      /* the first one above it, then */
	MAPPING_OF_MODULES, /* from here on: the executable ones, in order */
	MAPPING_PLACES = MAPPING_OF_MODULES + MODULES_MAX,
};

struct stack_region {
	__u64 start;
	__u64 present; /* bit n: page n was copied */
};

/* The registers of a thread at a signal, as the architecture's pt_regs has them. signo 0: none. */
struct thread_registers {
	__u64 time_ns;
	__u32 tid;
	__u32 signo;
	__u64 words[REGISTER_WORDS];
};
_Static_assert(sizeof(struct thread_registers) == 16 + 8 * REGISTER_WORDS, "no implicit padding");

/* Working storage of the copying. */
struct crash_work {
	__u64 entry;    /* of the maple tree */
	__u64 index;    /* address that is looked for */
	__u64 last;     /* the last address that the node covers */
	__u64 is_leaf;
	__u64 slot;     /* in the node */
	__u64 dynamic;
	__u64 hash;
	__u64 symbols;
	__u64 names;
	__u64 words[128]; /* a node of the maple tree, or a table of an ELF file */
	__u64 page_set;
	__u64 caches_count;
	__u64 last_cache;
	__u64 caches
		[MODULES_MAX]; /* the page cache of a module's file that may be out of reach later; 0: it can be opened, or was copied */
};

struct crash_slot {
	struct process_key key;
	__u64 sequence;
	__u64 address; /* of the fault; of an abort, of the fault whose handler aborted, else its instruction */
	struct thread_registers crashed;
	struct thread_registers handled; /* of the last fault that the same thread took in a handler, 2 s ago at most */
	struct stack_region regions[STACK_REGIONS];
	__u64 code_bytes;
	char code[CODE_BYTES]; /* at the instruction */
	__u64 mappings_count;
	__u64 modules_count;
	__u64 paths_bytes;
	__u64 message_bytes; /* with its NUL */
	char message[ABORT_MESSAGE_BYTES];
	struct crash_mapping mappings[MAPPING_PLACES]; /* by enum mapping_place */
	char paths[MODULE_PATHS_BYTES + 512]; /* the slack: a name that begins at the end */
	struct crash_work work;
	char stack[STACK_PAGES_MAX * CRASH_PAGE]; /* of the regions, one after the other */
} __attribute__((aligned(65536)));
_Static_assert(sizeof(struct crash_slot) % 65536 == 0, "each slot can be mapped by itself, also with pages of 64 KiB");

struct page_place {
	__u32 module; /* the number of the mapping in crash_slot.mappings, from MAPPING_OF_MODULES on */
	__u32 page; /* of its file */
};

/* A set: pages of the files of one crash that may be out of reach later (crash_files.h). */
struct crash_pages {
	__u64 count;
	struct page_place places[FILE_PAGES];
	char bytes[FILE_PAGES * CRASH_PAGE] __attribute__((aligned(CRASH_PAGE)));
} __attribute__((aligned(65536)));
_Static_assert(sizeof(struct crash_pages) % 65536 == 0, "each set can be mapped by itself, also with pages of 64 KiB");
_Static_assert(CRASH_SLOTS * sizeof(struct crash_slot) + CRASH_PAGE_SETS * sizeof(struct crash_pages) <= 8 << 20,
	       "at most 8 MiB");

enum crash_slot_state {
	SLOT_FREE,
	SLOT_FILLING,
	SLOT_FULL,
};

/* Beside the slots, as the loader reads it at each wake-up. */
struct crash_claim {
	__u32 state; /* enum crash_slot_state: set by the probes, the loader sets it to SLOT_FREE */
	__u32 page_set; /* number of the set that goes with the slot, from 1 on; 0: none */
	__u64 sequence;
	struct origin origin;
};

struct crash_directory {
	__u32 loader_waits; /* the loader sleeps and must be woken */
	__u32 zero;
	__u64 captured;
	__u64 memory_map; /* where the kernel maps all memory; 0: not known (crash_calibration.h) */
	__u64 page_structures; /* the structure of physical page 0 */
	__u64 no_slot; /* crashes without a slot: all were in use, or the share of its origin */
	struct crash_claim claims[CRASH_SLOTS];
};

enum crash_capture {
	CAPTURE_NONE,
	CAPTURE_SLOT, /* slot and sequence name what was copied */
	CAPTURE_NO_SLOT, /* no slot was free */
};

/* PART_CRASH */
struct crash_reference {
	__u32 capture; /* enum crash_capture */
	__u32 slot;
	__u64 sequence;
};
_Static_assert(sizeof(struct crash_reference) == 16, "no implicit padding");
