/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs that run, and the tools by which people ask others (docs/decisions/0091), as maps.h has what else the probes keep.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"

#define PROGRAMS_MAX 10240
#define ENDED_PROGRAMS 1024 /* a power of two */
#define TOOLS_MAX 128
#define PROGRAM_EXE_BYTES 128
#define PROGRAM_ARGS_BYTES 256
#define PROC_TICK_NS 10000000 /* USER_HZ is 100 on all architectures that this runs on */
_Static_assert(!(ENDED_PROGRAMS & (ENDED_PROGRAMS - 1)), "slots are chosen by a mask");

enum tool_kind {
	TOOL_ASKS = 1, /* its executions are reported */
	TOOL_MANY = 2, /* a program that is many tools */
};

enum program_flag {
	PROGRAM_EXE_CUT = 1,
	PROGRAM_ARGS_CUT = 2,
	PROGRAM_ASKS = 4, /* the process executed a tool */
	/* Of a listed program: */
	PROGRAM_UNKNOWN = 8,
	PROGRAM_OF_PARENT = 16, /* that of the next one: it forked, and never executed */
	/* Of a kept one: */
	PROGRAM_EXE_IN_ROOT = 32, /* the executable lies below the root of the process */
};

/* The tool that a process executed (requests.h). */
struct executed_tool {
	char name[COMM_BYTES];
	__u32 owner;     /* of the executable; UID_UNSET: that of its file system does not count */
	__u32 exe_flags; /* enum part_flag, beside those of PART_EXE */
};
_Static_assert(sizeof(struct executed_tool) == 24, "no implicit padding");

/*
 * What a process executed last, from its exec to its exit. A child that forked and never executed has no entry: it runs its parent's
 * program.
 */
struct program {
	struct process_key key; /* of one that the loader found in /proc: cut to PROC_TICK_NS, as /proc has it */
	__u64 exec_id; /* of the exec, which another one raises; 0: found by the loader in /proc */
	__u32 uid; /* effective */
	struct credentials credentials;
	__u16 exe_bytes;
	__u16 args_bytes;
	__u16 flags; /* enum program_flag */
	__u16 share; /* of shares; 0: counted in the sum alone, as the loader found it */
	__u32 zero;
	char args[PROGRAM_ARGS_BYTES];
	char exe[PROGRAM_EXE_BYTES]; /* as in PART_EXE; a longer one lacks what is next to the root */
};
_Static_assert(sizeof(struct program) == 56 + PROGRAM_EXE_BYTES + PROGRAM_ARGS_BYTES, "pinned, and filled by the loader");

/* One for each CPU, as struct counters. */
struct program_counters {
	__u64 requests_refused; /* requests, or their ends, beyond a limit */
	__u64 unknown;          /* programs without room in programs */
};
_Static_assert(sizeof(struct program_counters) == 16, "pinned");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct program_counters);
} program_counts SEC(".maps");

/* No LRU: that would evict the entries of old daemons. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROGRAMS_MAX);
	__type(key, struct process_key);
	__type(value, struct program);
} programs SEC(".maps");

/*
 * Programs that ended lately, and had children: of ancestors that end at the same time as these. Indexed by the low bits of the pid, so that
 * the last ones stay.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ENDED_PROGRAMS);
	__type(key, __u32);
	__type(value, struct program);
} ended_programs SEC(".maps");

/* What an ancestor executes, in a record. exe and args follow, padded to 8 bytes. */
struct listed_program {
	__u64 start_boottime_ns; /* of the ancestor */
	__u32 uid;
	__u32 login_uid;
	__u16 exe_bytes;
	__u16 args_bytes;
	__u32 flags; /* enum program_flag */
};
_Static_assert(sizeof(struct listed_program) == 24, "no implicit padding");

#define LISTED_BYTES_MAX (sizeof(struct listed_program) + PROGRAM_EXE_BYTES + PROGRAM_ARGS_BYTES)

/* An ancestor in a list, as long as it executes no other program. */
struct listed_ancestor {
	__u64 task; /* 0: there is none */
	__u64 start_boottime_ns;
	__u64 exec_id;
};

/*
 * A list, one for each user of record_scratch. It is that of the next process, too, if that has the same ancestors, and they have executed
 * nothing since. The slack is for a verifier that does not see the limits together.
 */
struct program_list {
	__u64 is_complete; /* the program of each ancestor is known */
	__u64 task; /* whose parent is the next one */
	__u64 ancestors;
	__u64 bytes;
	struct listed_ancestor of[8]; /* ANCESTORS_MAX, and an index that is bounded by a mask */
	char listed[ANCESTORS_MAX * LISTED_BYTES_MAX + 2 * LISTED_BYTES_MAX];
};
_Static_assert(ANCESTORS_MAX < 8, "an index is bounded by a mask, and the last is none");

/*
 * A name in the list of tools. A program that is many tools (pgrep, busybox) is known by the link by which it was executed, if that is in
 * the list, too.
 */
#define TOOL_NAME_BYTES COMM_BYTES /* names in the list are shorter: a longer one that was cut is none of them */

/* A signal to an init, by which it is asked to turn its machine or container off (init_signals.h): PART_INIT_SIGNAL. */
struct init_signal {
	struct process_key init;
	__u32 signo;
	__u32 zero;
};
_Static_assert(sizeof(struct init_signal) == 24, "no implicit padding");

struct tool_name {
	char text[TOOL_NAME_BYTES];
};

/* The value: enum tool_kind. The loader fills it before the programs are attached. Not pinned: each build has its own. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TOOLS_MAX);
	__type(key, struct tool_name);
	__type(value, __u32);
} tools SEC(".maps");
