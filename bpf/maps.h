/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What the probes remember, and for how long. All maps are allocated beforehand and bounded; the loader pins those
 * whose contents outlive a program.
 */
#pragma once

#define MEMORIES_MAX 8192
#define OOM_VICTIMS_MAX 256
#define SENDERS_MAX 1024
#define SEEN_MAX 4096
#define LAST_WORDS_MAX 512
#define RESTARTS_MAX 1024
#define LAST_WORDS_BYTES_MAX                                                                                                     \
	(PATH_BYTES_MAX + BUILD_ID_BYTES_MAX + CONTEXT_BYTES_MAX + ENV_BYTES_MAX + ARGS_BYTES_MAX +                              \
	 96) /* 96: six heads, the thread's context, and padding */
#define REMEMBERED_SLOTS 16384 /* a power of two */
#define EXIT_SLOTS 16384 /* a power of two */

/* What is known of a process that may die. Written under its siglock, read and deleted by its exit. */
struct memory {
	struct process_key key;
	struct signal_fact signal;  /* the signal that ended it, or may */
	struct signal_fact request; /* the last polite one that it handled or ignored, or crash that another one sent it */
	struct fault fault;
	struct fault handled_fault;
	__u32 threads;
	__u32 zero;
};

struct sender_key {
	struct process_key process;
	__u64 exec_id; /* grows with each exec */
};

/* To the loader, which reads with late commit: what is not acknowledged stays. The loader sets the size. */
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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shared);
} shared_map SEC(".maps");

/* Not an LRU: that would evict the old daemons one cares about. Full: counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MEMORIES_MAX);
	__type(key, struct process_key);
	__type(value, struct memory);
} memories SEC(".maps");

/*
 * How many memories there are for the pids of a slot: a normal exit looks here, not into the hash. OVERLAP is set in all of them
 * while two sets of probes are attached, so that it costs the exits nothing to know: `seen` decides then which one reports.
 */
#define OVERLAP 0x80000000u

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, REMEMBERED_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} remembered SEC(".maps");

/* By a thread's id, the last one that an exit probe ran for: of kernels that preempt these, and small on others. Each build has its own. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXIT_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} exits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OOM_VICTIMS_MAX);
	__type(key, struct process_key);
	__type(value, struct oom);
} oom_victims SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SENDERS_MAX);
	__type(key, struct sender_key);
	__type(value, struct description);
} senders SEC(".maps");

/* Whose death was reported: for kernels whose tracepoint does not tell the last thread, and while one set of probes replaces another. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SEEN_MAX);
	__type(key, struct process_key);
	__type(value, __u32);
} seen SEC(".maps");

/* A description under construction. The slack is never used: a verifier that adds up the lengths of three texts, each rounded up
 * to a power of two, does not see that they fit. */
struct described {
	struct description description;
	char slack[4096];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct described);
} sender_scratch SEC(".maps");

/*
 * What a process that is dying had in its memory, for kernels whose sched_process_exit comes after exit_mm(). It lives from the
 * first thread's exit to the last one's. An LRU, as a thread that is late may leave it again. The loader makes it small where it
 * is not needed.
 */
struct last_words {
	__u64 exe_bytes; /* of the first parts, PART_EXE and PART_BUILD_ID, their heads included */
	__u64 bytes; /* of all parts: also PART_CONTEXT, PART_THREAD_CONTEXT, PART_ENV, PART_ARGS */
	char parts[LAST_WORDS_BYTES_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LAST_WORDS_MAX);
	__type(key, struct process_key);
	__type(value, struct last_words);
} last_words SEC(".maps");

/* Who died where, in the last minute (restart.h). */
#define EXECUTABLE_BYTES 32
#define PLACE_BYTES 96 /* of a container's scope, the id included */

struct restart_key {
	char executable[EXECUTABLE_BYTES]; /* the last part of its path */
	__u64 args_bytes; /* of all its arguments, as another program of an interpreter has others; 0 where the dead have no memory */
	char cgroup[PLACE_BYTES]; /* the last part of its path; empty: the parent counts */
	struct process_key parent;
};

/* An LRU, as few who die are started again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RESTARTS_MAX);
	__type(key, struct restart_key);
	__type(value, struct dead);
} recently_dead SEC(".maps");

static const struct memory no_memory;
static const struct oom no_oom;

static __always_inline struct process_key key_of(struct task_struct *leader)
{
	struct process_key key = {
		.start_boottime_ns = READ(leader, start_boottime),
		.pid = READ(leader, tgid),
	};

	return key;
}

static __always_inline __u32 *remembered_slot(__u32 pid)
{
	__u32 slot = pid & (REMEMBERED_SLOTS - 1);

	return bpf_map_lookup_elem(&remembered, &slot);
}

static __always_inline void count_memory_full(void)
{
	__u32 zero = 0;
	struct counters *counters = bpf_map_lookup_elem(&counters_map, &zero);

	if (counters)
		__sync_fetch_and_add(&counters->lost_memory_full, 1); /* An interrupt may come between. */
}

/* The memory of this process, new if need be; NULL, and counted, if there is no room. */
static __always_inline struct memory *remember(struct task_struct *leader)
{
	struct process_key key = key_of(leader);
	struct memory *memory = bpf_map_lookup_elem(&memories, &key);
	__u32 *count;

	if (memory)
		return memory;
	if (bpf_map_update_elem(&memories, &key, &no_memory, BPF_NOEXIST) == 0) {
		count = remembered_slot(key.pid);
		if (count)
			__sync_fetch_and_add(count, 1);
	}
	memory = bpf_map_lookup_elem(&memories, &key);
	if (memory) {
		memory->key = key;
		return memory;
	}
	count_memory_full();
	return NULL;
}

static __always_inline void forget(const struct process_key *key)
{
	__u32 *count;

	bpf_map_delete_elem(&oom_victims, key);
	if (bpf_map_delete_elem(&memories, key))
		return;
	count = remembered_slot(key->pid);
	if (count)
		__sync_fetch_and_add(count, -1);
}
