/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the probes keep between events, and for how long. All maps are preallocated and bounded. The loader pins those whose
 * contents outlive a program (pinnedMaps in the loader): their names and layouts are part of the ABI (event.h). The working
 * storage of a single run is in scratch.h.
 */
#pragma once

#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"

#define PENDING_FACTS_MAX 8192
#define SHARES 4096 /* a power of two */
#define OOM_VICTIMS_MAX 256
#define SEEN_MAX 4096
#define MM_SNAPSHOTS_MAX 512
#define TRIGGER_THREADS_MAX 512
#define RECENT_TERMINATIONS_MAX 1024
#define PENDING_SLOTS 262144       /* PID_MAX_LIMIT (include/linux/threads.h) / PIDS_PER_SLOT: all pids */
#define FORMER_PENDING_SLOTS 16384 /* of older ABIs, whose array is kept; a power of two */
#define EXIT_SLOTS 16384    /* a power of two */
#define CGROUP_DIRECTORIES 32 /* a power of two, more than CGROUP_DEPTH_MAX */
_Static_assert(!(FORMER_PENDING_SLOTS & (FORMER_PENDING_SLOTS - 1)) && !(EXIT_SLOTS & (EXIT_SLOTS - 1)),
	       "slots are chosen by a mask");

/* What a process holds of the room that is shared by origins. */
struct holding {
	__u16 share; /* of shares; 0: not counted there, as an older build added the entry */
	__u8 sender_parts; /* of slot 1, and of slot 2 times 16 */
	__u8 stop; /* STOP_KEPT: there is an entry in stops; the parts of slot 3 */
};
_Static_assert(sizeof(struct holding) == 4, "the end of struct pending_facts");

/* The facts about a process that may terminate. Written under its siglock, read and deleted by its last exit. */
struct pending_facts {
	struct process_key key;
	struct signal_fact signal;  /* the signal that terminated it, or may */
	struct signal_fact
		request; /* the last termination request that it handled or ignored, or crash signal from another process */
	struct fault fault;
	struct fault handled_fault;
	__u32 threads;
	struct holding holds; /* up to ABI 5, zero */
};
_Static_assert(sizeof(struct pending_facts) == 16 + 2 * 272 + 2 * 88 + 8, "pinned: no implicit padding");

/* One for each CPU. */
struct counters {
	__u64 exits_normal; /* of older builds; else in normal_exits */
	__u64 terminations; /* records that were handed over */
	__u64 lost_ring_full;
	__u64 lost_memory_full; /* facts without room in pending_facts or oom_victims */
	__u64 exits_rescued;    /* threads included: the kernel skipped the first exit probe, and another one ran */
};
_Static_assert(sizeof(struct counters) == 40, "pinned");

/*
 * Memory that the probes and the loader share. It is pinned, so that it outlives both. Only the loader writes it, except
 * reader_waits, which a probe clears.
 */
struct shared {
	__u32 reader_waits; /* the reader sleeps and must be woken: see submit_record() */
	__u32 zero;
	/* Counted by the kernel for programs that were replaced since: */
	__u64 exits_missed; /* exits for which it did not run the probe */
	__u64 facts_missed; /* runs of the other probes that it skipped */
	__u64 undecodable;     /* records that no loader could decode */
	__u64 undecodable_seq; /* the position past the last of them */
};
_Static_assert(sizeof(struct shared) == 40 && offsetof(struct shared, reader_waits) == 0, "pinned, and mapped by the loader");

/* Published by the loader: BPF programs cannot read the wall clock. */
struct clock {
	__s64 offset_ns; /* CLOCK_REALTIME - CLOCK_BOOTTIME */
	__u64 published_ns; /* CLOCK_BOOTTIME */
};
_Static_assert(sizeof(struct clock) == 16, "pinned, and mapped by the loader");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct clock);
} wall_clock SEC(".maps");

/* To the loader. Commits are late: what is not acknowledged is not overwritten. The loader sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters_map SEC(".maps");

/*
 * The normal exits of a processor, in a cache line of its own. A plain array: that of a per-CPU array is found through a pointer, a second
 * line that is cold in each exit (docs/decisions/0079). The loader sets the number.
 */
struct processor_exits {
	__u64 count;
	__u64 zeros[7];
};
_Static_assert(sizeof(struct processor_exits) == 64, "pinned, and mapped by the loader");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct processor_exits);
} normal_exits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shared);
} shared_map SEC(".maps");

/* No LRU: that would evict the entries of old daemons. A fact without room is counted in lost_memory_full. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PENDING_FACTS_MAX);
	__type(key, struct process_key);
	__type(value, struct pending_facts);
} pending_facts SEC(".maps");

/*
 * The number of entries in pending_facts, by pid, and which of its pids have one in programs. A normal exit reads the slot instead of the hash. Neighbours share one: processes are
 * numbered in a row, and the cache line of the last exit then often has the next one's slot (docs/decisions/0079).
 * While two sets of probes are attached, OVERLAP is set in each slot, which every exit reads anyway: `seen` then decides which
 * set reports.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PENDING_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} pending_counts SEC(".maps");

/* An exit for which a probe ran. Two words instead of a compare and swap, which kernels before 5.12 do not have. */
struct probed_exit {
	__u64 thread; /* the last that took the slot */
	__u64 done;   /* the last whose probes have all run */
};

/*
 * Indexed by the low bits of a thread's id. A thread that displaces another one, whose probes have not all run, adds that one to `seen`
 * first. Used where tracepoints are preemptible; the loader makes it small elsewhere. Not pinned: each build has its own.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXIT_SLOTS);
	__type(key, __u32);
	__type(value, struct probed_exit);
} probed_exits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OOM_VICTIMS_MAX);
	__type(key, struct process_key);
	__type(value, struct oom);
} oom_victims SEC(".maps");

/*
 * What the processes of one origin hold of pending_facts and sender_parts (docs/decisions/0067). Indexed by a hash of the origin:
 * origins that collide share it. Entry 0: the sum of all.
 */
struct share {
	__s32 processes;
	__s32 sender_parts;
	__u64 refused; /* facts for which the share, or the whole map, was full */
	__u64 refused_ns; /* the last time */
	__u32 uid; /* of the origin, then */
	__s32 programs;
};
_Static_assert(sizeof(struct share) == 32, "pinned, and mapped by the loader");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHARES);
	__type(key, __u32);
	__type(value, struct share);
} shares SEC(".maps");

/*
 * Thread groups already reported, to report each once. Used on kernels whose sched_process_exit does not name the last thread,
 * where tracepoints are preemptible, and while one set of probes replaces another.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SEEN_MAX);
	__type(key, struct process_key);
	__type(value, __u32);
} seen SEC(".maps");

#define MM_SNAPSHOT_BYTES_MAX                                                                                                    \
	(PATH_BYTES_MAX + BUILD_ID_BYTES_MAX + GO_BUILD_ID_BYTES_MAX + CONTEXT_BYTES_MAX + ENV_BYTES_MAX + ARGS_BYTES_MAX +      \
	 104) /* 104: the heads of seven parts, the thread's context, and padding */

/*
 * A snapshot of the mm of an exiting process, for kernels whose sched_process_exit comes after exit_mm(). An entry lives from the
 * exit of the first thread to that of the last. An LRU, as a late thread may add it again: one for each processor, as a common one
 * would need many entries for each. The loader makes it small where it is not needed. Not pinned: each build has its own.
 */
struct mm_snapshot {
	__u64 exe_bytes; /* of the first parts, PART_EXE, PART_BUILD_ID and PART_GO_BUILD_ID, with their heads */
	__u64 bytes; /* of all parts: also PART_CONTEXT, PART_THREAD_CONTEXT, PART_ENV, PART_ARGS */
	char parts[MM_SNAPSHOT_BYTES_MAX];
};
_Static_assert(offsetof(struct mm_snapshot, parts) == 16 && MM_SNAPSHOT_BYTES_MAX % 8 == 0, "parts are aligned to 8");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
	__uint(max_entries, MM_SNAPSHOTS_MAX);
	__type(key, struct process_key);
	__type(value, struct mm_snapshot);
} mm_snapshots SEC(".maps");

/* The thread that triggered a group exit (trigger_thread.h). */
struct trigger_thread {
	__u64 thread_pointer; /* 0: not known */
	__u32 tid;
	__u32 signo; /* that it raised; 0: it called exit_group(2) */
};

/*
 * An LRU: entries of processes that did not terminate by it are never deleted. The loader makes it small where it is not needed.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TRIGGER_THREADS_MAX);
	__type(key, struct process_key);
	__type(value, struct trigger_thread);
} trigger_threads SEC(".maps");

#define EXECUTABLE_BYTES 32
#define PLACE_BYTES 96 /* enough for a container's scope with its id */

/* Which program ran in which place (restart.h). Either the cgroup or the parent is set. */
struct restart_key {
	char executable[EXECUTABLE_BYTES]; /* the last component of its path */
	__u64 args_bytes; /* length of the argument block: programs of one interpreter differ; 0 where an exit has no mm */
	char cgroup[PLACE_BYTES]; /* the last component of its path */
	__u64 cgroup_above; /* the id of the cgroup that it is in: users may call theirs alike */
	struct process_key parent;
};
_Static_assert(sizeof(struct restart_key) == EXECUTABLE_BYTES + 8 + PLACE_BYTES + 8 + 16, "no implicit padding: it is a map key");

struct terminated_program {
	struct predecessor process;
	__u32 real_uid;
	__u32 zero;
};

/* Terminations of the last minute. An LRU, as few processes are restarted. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RECENT_TERMINATIONS_MAX);
	__type(key, struct restart_key);
	__type(value, struct terminated_program);
} terminated_programs SEC(".maps");

/* The same of origins that terminate often (is_crowded() in restart.h). */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RECENT_TERMINATIONS_MAX);
	__type(key, struct restart_key);
	__type(value, struct terminated_program);
} crowded_programs SEC(".maps");
