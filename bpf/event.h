/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The record that the probes hand to the loader: the only types that C and Go share. bpf2go turns them into Go, so there is
 * nothing to keep in step by hand. A record is one `struct event` and then parts, each a `struct part` and its payload, in
 * the order of their worth: when the ring runs low, the tail is left out.
 *
 * A change here is a change of the ABI between pinned probes and the loader: raise EVENT_ABI.
 */
#pragma once

#include <linux/types.h>

#define EVENT_ABI 4

#define COMM_BYTES 16
#define ANCESTORS_MAX 6
#define STACK_FRAMES_MAX 20
#define PATH_BYTES_MAX 1024
#define ARGS_BYTES_MAX 4096
#define SENDER_ARGS_BYTES_MAX 1024
#define ENV_BYTES_MAX 4096
#define BUILD_ID_BYTES_MAX 32
#define CONTEXT_BYTES_MAX 2048

/* A process for ever: a bare pid is used again. */
struct process_key {
	__u64 start_boottime_ns; /* of the thread group leader */
	__u32 pid;               /* tgid in the initial pid namespace */
	__u32 zero;
};

enum part_kind {
	PART_SIGNAL = 1,      /* struct signal_fact */
	PART_REQUEST,         /* struct signal_fact */
	PART_FAULT,           /* struct fault */
	PART_HANDLED_FAULT,   /* struct fault */
	PART_OOM,             /* struct oom */
	PART_EXE,             /* names from the leaf to the root, each with its NUL */
	PART_CGROUP,          /* the same */
	PART_ANCESTORS,       /* struct ancestor[], nearest first */
	PART_SIGNAL_SENDER,   /* struct description */
	PART_REQUEST_SENDER,  /* struct description */
	PART_ENV,             /* KEY=value strings, each with its NUL */
	PART_ARGS,            /* the argument strings as they lie in memory */
	PART_BUILD_ID,        /* of the executable, as its GNU note has it */
	PART_CONTEXT,         /* what the process published: opentelemetry.proto.resource.v1.Resource */
	PART_DEAD,            /* struct dead */
	PART_THREAD_CONTEXT,  /* struct thread_context */
};

/* Stands before each payload. The payload is padded to a multiple of 8. */
struct part {
	__u16 kind;  /* enum part_kind */
	__u16 flags; /* PART_FLAG_* */
	__u32 bytes; /* of the payload, without the padding */
};

#define PART_FLAG_TRUNCATED 1 /* there was more than fits, or than could be read */

#define EVENT_FLAG_SHRUNK 1 /* the ring ran low: parts were left out, or a stack was */
#define EVENT_FLAG_OOM_VICTIM 2 /* signal->oom_mm was set */
#define EVENT_FLAG_RESTART 4 /* no death: this process executes what the one of PART_DEAD was. time_ns is when */

struct event {
	__u32 abi;   /* EVENT_ABI */
	__u32 flags; /* EVENT_FLAG_* */
	__u64 time_ns; /* CLOCK_BOOTTIME at sched_process_exit of the last thread */
	struct process_key key;
	__u32 status_raw; /* as wait4 tells it to the parent */
	__u32 vpid;       /* tgid in its own pid namespace */
	__u32 parent_pid; /* tgid of real_parent */
	__u32 tid;        /* the thread that ended last */
	__u32 uid;        /* effective */
	__u32 gid;        /* effective */
	__u32 seccomp_mode;  /* of that thread */
	__u32 pdeath_signal; /* of the leader */
	__u32 ptrace;        /* flags of that thread and of the leader; 0: no tracer */
	__u32 threads;       /* when the remembered signal came; 0: not known */
	char comm[COMM_BYTES];        /* of the leader */
	char thread_comm[COMM_BYTES]; /* of that thread */
};

/* Whose restart a process may be. */
struct dead {
	struct process_key key;
	__u64 time_ns; /* when it died, CLOCK_BOOTTIME */
};

/* What a thread publishes of the span that is open in it: OTEP 4947, "Thread-Local Context Record", without its attributes. */
struct thread_context {
	__u8 trace_id[16];
	__u8 span_id[8];
	__u8 valid; /* 1: here it always is */
	__u8 trace_flags;
};

struct ancestor {
	__u32 pid;
	char comm[COMM_BYTES];
};

/* Whose numbers a cgroup's is one of. */
enum cgroup_hierarchy {
	HIERARCHY_UNIFIED,
	HIERARCHY_MEMORY,
	HIERARCHY_PIDS,
};

/* What kernel_siginfo pointers say: SEND_SIG_NOINFO, SEND_SIG_PRIV, or a real one. */
enum siginfo_kind {
	SIGINFO_NOINFO,
	SIGINFO_PRIV,
	SIGINFO_REAL,
};

enum signal_action {
	ACTION_DEFAULT,
	ACTION_IGNORED,
	ACTION_HANDLED,
};

/* One signal, as signal_generate showed it. signo 0: none. */
struct signal_fact {
	__u64 time_ns; /* CLOCK_BOOTTIME */
	__u32 signo;
	__s32 code;    /* si_code; 0 for NOINFO, SI_KERNEL for PRIV */
	__u32 siginfo; /* enum siginfo_kind */
	__s32 siginfo_pid;
	__u32 siginfo_uid;
	__u32 result;    /* TRACE_SIGNAL_* */
	__u32 action;    /* enum signal_action */
	__u32 committed; /* it set group_exit_code there and then, or was pending and came true */
	__u32 group;     /* sent to the process, not to a thread */
	__u32 target_tid;
	__s32 syscall_nr; /* that current was in; -1: none, or not known */
	/* current, which is not always the sender */
	__u32 sender_tid;
	struct process_key sender;
	__u32 sender_uid;   /* effective */
	__u32 sender_flags; /* task->flags */
	__u64 sender_exec_id;
	char sender_comm[COMM_BYTES]; /* of its leader */
	__u32 zero;
	__u32 stack_frames;
	__u64 stack[STACK_FRAMES_MAX]; /* kernel addresses, innermost first */
};

/* A signal that the processor or seccomp raised, as signal_deliver showed it. signo 0: none. */
struct fault {
	__u64 time_ns;
	__u32 signo;
	__s32 code;
	__u64 address;
	__u64 instruction_pointer;
	__u64 stack_pointer; /* 0: neither is known */
	__u64 trap_nr;    /* x86 */
	__u64 error_code; /* x86 */
	__s32 syscall_nr; /* SIGSYS */
	__u32 syscall_arch;
	__u32 tid;
	__u32 has_trap; /* trap_nr and error_code are known */
	char thread_comm[COMM_BYTES];
};

struct oom {
	__u64 time_ns;
	__u64 total_vm; /* pages, like the next three */
	__s64 anon_rss;
	__s64 file_rss;
	__s64 shmem_rss;
	__u64 limit; /* pages, of the memory cgroup that is at its limit; 0: none found */
	__s32 score_adj;
	__u32 cgroup_bytes;
	char cgroup[PATH_BYTES_MAX]; /* of that cgroup, like PART_CGROUP */
};

/* A sender in full, kept once for all that it sends. Its texts lie behind each other in data: exe, cgroup, args. */
struct description {
	__u64 time_ns; /* when it was taken */
	__u32 exe_bytes;
	__u32 cgroup_bytes;
	__u32 args_bytes;
	__u32 args_truncated;
	__u32 ancestors_count;
	struct ancestor ancestors[ANCESTORS_MAX];
	__u32 zero;
	char data[2 * PATH_BYTES_MAX + SENDER_ARGS_BYTES_MAX];
};

/* One for each CPU. */
struct counters {
	__u64 exits_normal;
	__u64 deaths;
	__u64 lost_ring_full;
	__u64 lost_memory_full;
	__u64 exits_rescued; /* of threads, too: the kernel skipped the first exit probe, and another one ran */
};

/*
 * Memory that the probes and the loader share. It is pinned: what is here outlives both. The loader alone writes, but for
 * reader_waits, which a probe clears.
 */
struct shared {
	__u32 reader_waits; /* the reader sleeps, and is to be woken: see hand_over() */
	__u32 zero;
	/* Counted by the kernel for programs that were replaced since: */
	__u64 missed;        /* exits for which it did not run the probe */
	__u64 memory_missed; /* runs of the other probes */
	__u64 undecodable;     /* records that no loader could decode */
	__u64 undecodable_seq; /* the position past the last of them */
};
