/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of old.bpf.c, which the loader pins: what is not acknowledged outlives it. The programs outlive it only where systemd keeps them, as
 * their links cannot be pinned before 5.7 (docs/decisions/0124). Where they ended, the next loader makes the maps anew that have what programs
 * keep about processes; those of the queue stay.
 *
 * Up to 4.17, keys and values that a program gives to a map must lie on its stack, which has 512 bytes: hence several small entries for each
 * process, where maps.h has one.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"

#ifdef OLD_CLASSIC
#define OLD_LRU_HASH BPF_MAP_TYPE_HASH
#else
#define OLD_LRU_HASH BPF_MAP_TYPE_LRU_HASH
#endif

#define OLD_FACTS_MAX 8192
#define OLD_TEXTS_MAX 20480 /* of most processes, two */
#define OLD_SEEN_MAX 4096
#define OLD_SENDERS_MAX 1024
#define OLD_STACKS_MAX 4096
#define OLD_SHARES 256 /* a power of two */
#define OLD_COUNTS 16384 /* a power of two */
#define OLD_ENDED 256    /* of each CPU, a power of two */
#define OLD_TEXT_BYTES 224
#define OLD_ARGS_TEXTS 4 /* the arguments of a process are kept in at most so many texts */
#define OLD_CGROUP_BYTES 1024
#define OLD_CGROUP_UNKNOWN 0xffffffff /* as the bytes: it is too deep, or too long */
#define OLD_PROC_TICK_NS 10000000 /* USER_HZ is 100 on all architectures that this runs on */
_Static_assert(!(OLD_COUNTS & (OLD_COUNTS - 1)) && !(OLD_ENDED & (OLD_ENDED - 1)), "slots are chosen by a mask");

enum old_kind {
	OLD_SIGNAL = 1, /* the signal that terminated the process, or may */
	OLD_REQUEST,    /* the last termination request that it handled or ignored */
	OLD_FAULT,
	OLD_HANDLED_FAULT,
	OLD_EXE,
	OLD_SENDER,
	OLD_ARGS, /* the first text, and those after it */
	OLD_ARGS_END = OLD_ARGS + OLD_ARGS_TEXTS,
	OLD_SIGNO = 64, /* of classic.bpf.c: a signal, by its number, to the thread of the key's pid; the key has no start */
};

/* What is kept of a process. */
struct old_key {
	__u64 start_boottime_ns;
	__u32 pid;
	enum old_kind kind;
};
_Static_assert(sizeof(struct old_key) == 16, "old_key has no implicit padding: it is a map key");

/* A signal or a fault. */
struct old_fact {
	char bytes[SIGNAL_HEAD_BYTES]; /* struct signal_fact up to its stack, with 0 or 1 stack_frames; or struct fault */
	__u32 stack; /* its number in old_stacks */
	__u32 threads; /* of the victim, then */
	struct credentials users; /* of the sender */
};
_Static_assert(sizeof(struct old_fact) == 136 && sizeof(struct fault) <= SIGNAL_HEAD_BYTES, "it fits on the stack of a program");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OLD_FACTS_MAX);
	__type(key, struct old_key);
	__type(value, struct old_fact);
} old_facts SEC(".maps");

/* The number of entries in old_facts, by the low bits of the pid: an exit reads it instead of the hash. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OLD_COUNTS);
	__type(key, __u32);
	__type(value, __u32);
} old_counts SEC(".maps");

/* The kernel stacks of signals. Few differ, and none is removed. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, OLD_STACKS_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, STACK_FRAMES_MAX * sizeof(__u64));
} old_stacks SEC(".maps");

/* What a process executes: the names of the path, as in PART_EXE, or its arguments. */
struct old_text {
	__u64 time_ns; /* of the exec; 0: found in /proc */
	__u64 exec_id; /* task->self_exec_id, which each exec raises, one that fails late, too; 0: not known */
	__u32 uid; /* effective, at that time */
	__u32 login_uid;
	__u32 bytes;
	__u16 truncated; /* there was more */
	__u16 texts; /* of the arguments, in the first one */
	char text[OLD_TEXT_BYTES];
};
_Static_assert(sizeof(struct old_text) == 256, "filled by the loader, too");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OLD_TEXTS_MAX);
	__type(key, struct old_key);
	__type(value, struct old_text);
} old_texts SEC(".maps");

/*
 * The processes that ended last on each CPU: their texts are removed when OLD_ENDED others have ended, for the victims of senders that ended
 * before. next: how many ended there.
 */
struct old_ended {
	__u64 start_boottime_ns;
	__u32 pid;
	__u32 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OLD_ENDED);
	__type(key, __u32);
	__type(value, struct old_ended);
} old_ended_map SEC(".maps");

/* The ancestors of a process, nearest first, at that time. What they execute is in old_texts, where the loader looks. */
struct old_ancestors {
	__u64 time_ns;
	__u32 count;
	__u32 zero;
	__u64 starts[ANCESTORS_MAX];
	struct ancestor ancestors[ANCESTORS_MAX];
};

/* Those of processes that sent a signal, by OLD_SENDER. */
struct {
	__uint(type, OLD_LRU_HASH);
	__uint(max_entries, OLD_SENDERS_MAX);
	__type(key, struct old_key);
	__type(value, struct old_ancestors);
} old_senders SEC(".maps");

/* Thread groups already reported: up to four exits of one process read live == 0. */
struct {
	__uint(type, OLD_LRU_HASH);
	__uint(max_entries, OLD_SEEN_MAX);
	__type(key, struct old_key);
	__type(value, __u32);
} old_seen SEC(".maps");

/* Room for the texts of one exec or exit, of each CPU. */
struct old_scratch {
	char names[OLD_CGROUP_BYTES + 256 + 8];
	__u64 ended; /* how many processes ended on this CPU */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct old_scratch);
} old_scratch_map SEC(".maps");

/* Published by the loader: programs can read CLOCK_MONOTONIC alone before 5.8. */
struct old_clock {
	__s64 offset_ns; /* CLOCK_REALTIME - CLOCK_BOOTTIME */
	__u64 suspended_ns; /* CLOCK_BOOTTIME - CLOCK_MONOTONIC */
	__u64 published_ns; /* CLOCK_BOOTTIME */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct old_clock);
} old_wall_clock SEC(".maps");

/* One for each CPU. */
struct old_counters {
	__u64 exits_normal;
	__u64 terminations;
	__u64 lost_queue_full;
	__u64 lost_memory_full; /* facts without room */
	__u64 programs_unknown; /* texts without room */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct old_counters);
} old_counters_map SEC(".maps");

/* What a process executes: text[] without `bytes` is not known. */
struct old_program {
	struct old_text exe;
	struct old_text args[OLD_ARGS_TEXTS];
};

/* A termination in the queue. Its layout is fixed, as old verifiers lose the bounds of positions; the loader makes a record of it. */
struct old_slot {
	struct event event;
	struct old_fact signal; /* signo 0, as in the next three: there is none */
	struct old_fact request;
	struct fault fault;
	struct fault handled_fault;
	struct credentials credentials;
	struct old_program program;
	struct old_program signal_program; /* of the senders */
	struct old_program request_program;
	struct old_ancestors ancestors;
	struct old_ancestors signal_ancestors;
	struct old_ancestors request_ancestors;
	__u32 cgroup_bytes; /* or OLD_CGROUP_UNKNOWN */
	__u32 share; /* of old_written */
	char cgroup[OLD_CGROUP_BYTES +
		    256]; /* from the leaf to the root; an empty name before one: another user than root chose it */
};

/*
 * The queue: a part of the slots for each CPU. `heads` count what the probes wrote, `tails` what the loader has taken over because the service
 * acknowledged it. A slot is written again only when its tail has passed. The loader sets the sizes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct old_slot);
} old_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} old_heads SEC(".maps");

struct old_tail {
	__u64 acknowledged;
	__u64 slots; /* of the CPU, a power of two; its first is CPU * slots */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct old_tail);
} old_tails SEC(".maps");

/*
 * How many slots the probes of a CPU wrote for a user, by a hash of the user, and how many of them the loader took over: a user has at most as
 * many as are free.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OLD_SHARES);
	__type(key, __u32);
	__type(value, __u64);
} old_written SEC(".maps");

/* By CPU * OLD_SHARES + the share. The loader sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OLD_SHARES);
	__type(key, __u32);
	__type(value, __u64);
} old_returned SEC(".maps");

/* The loader's own: it outlives it, too. */
struct old_state {
	__u64 position; /* past the last record that was given a position */
	__u64 watched_ns; /* CLOCK_BOOTTIME: until then, the probes ran */
	__u64 undecodable;
	__u64 undecodable_seq;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct old_state);
} old_state_map SEC(".maps");

#define OLD_GAPS_MAX 8

/* When no probe was attached, CLOCK_BOOTTIME. */
struct old_gap {
	__u64 from_ns;
	__u64 to_ns; /* 0: none */
};

/* The loader's own, too: those that the service has not acknowledged. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OLD_GAPS_MAX);
	__type(key, __u32);
	__type(value, struct old_gap);
} old_gaps SEC(".maps");
