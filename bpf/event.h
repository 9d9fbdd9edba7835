/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The record that the probes hand to the loader, and every constant that C and Go share (those of signals are in signals.h).
 * bpf2go generates the Go side, so that nothing is copied by hand: types and enums become Go types and constants; the loader reads
 * the const variables from the object's .rodata. Macros do not reach Go.
 *
 * A record is one `struct event`, followed by parts: each a `struct part` and its payload. The most valuable parts come first, so
 * that the last ones can be left out when the ring runs low.
 *
 * Pinned probes and the loader agree on this file and on the names and layouts of the pinned maps (maps.h). Raise EVENT_ABI
 * when one of them changes; a map whose layout changes needs a new name, too (docs/decisions/0045). A new part kind is additive
 * and raises nothing.
 */
#pragma once

#include <linux/types.h>
#include <stddef.h>

#include "signals.h"

enum event_abi {
	EVENT_ABI = 6,
};

#define COMM_BYTES 16
#define ANCESTORS_MAX 6
#define STACK_FRAMES_MAX 20
#define PATH_BYTES_MAX 1024
#define ARGS_BYTES_MAX 4096
#define SENDER_ARGS_BYTES_MAX 1024
#define ENV_BYTES_MAX 4096
#define BUILD_ID_BYTES_MAX 32
#define GO_BUILD_ID_BYTES_MAX 128
#define HOSTNAME_BYTES_MAX 65 /* sizeof(struct new_utsname.nodename) */
#define CONTEXT_BYTES_MAX 2048
#define THREAD_ATTRIBUTES_BYTES_MAX 612 /* OTEP 4947 recommends at most 640 bytes for the record, its head of 28 included */

/* Identifies a process over the uptime of the machine: pids alone are reused. */
struct process_key {
	__u64 start_boottime_ns; /* of the thread group leader */
	__u32 pid;               /* tgid in the initial pid namespace */
	__u32 zero;
};
_Static_assert(sizeof(struct process_key) == 16, "process_key has no implicit padding: it is a map key");

/* Whose process it is, for whatever is bounded and shared: origin.h. No unprivileged user can make another one. */
struct origin {
	__u64 cgroup; /* the id of the outermost unit, container, pod or user slice; 0: the root */
	__u32 uid;    /* real; in a user namespace: of the owner of the outermost one */
	__u32 reserved;
};
_Static_assert(sizeof(struct origin) == 16, "origin has no implicit padding: it is a map key");

enum part_kind {
	PART_SIGNAL = 1,      /* struct signal_fact */
	PART_REQUEST,         /* struct signal_fact */
	PART_FAULT,           /* struct fault */
	PART_HANDLED_FAULT,   /* struct fault */
	PART_OOM,             /* struct oom */
	PART_EXE,             /* path components from the leaf to the root, each with its NUL */
	PART_CGROUP,          /* names from the root to the leaf (read_cgroup_path()); up to ABI 5 from the leaf to the root */
	PART_ANCESTORS,       /* struct ancestor[], nearest first */
	PART_SIGNAL_SENDER,   /* struct description */
	PART_REQUEST_SENDER,  /* struct description */
	PART_ENV,             /* KEY=value strings, each with its NUL */
	PART_ARGS,            /* the argument block as it is in memory */
	PART_BUILD_ID,        /* of the executable, from its GNU note */
	PART_CONTEXT,         /* the published process context: opentelemetry.proto.resource.v1.Resource */
	PART_PREDECESSOR,     /* struct predecessor */
	PART_THREAD_CONTEXT,  /* struct thread_context */
	PART_CREDENTIALS,     /* struct credentials */
	PART_REPEAT_KEY,      /* struct repeat_key */
	PART_CRASH,           /* struct crash_reference (crash_slot.h) */
	PART_GO_BUILD_ID,     /* of the executable, from its Go note: text */
	PART_TOOL,            /* struct executed_tool */
	PART_SCRIPT,          /* the path that execve(2) was given, with its NUL */
	PART_PROGRAMS,        /* struct listed_program and its texts, for each of PART_ANCESTORS */
	PART_HOSTNAME,        /* of its UTS namespace, with its NUL; missing: the machine's */
	PART_STOP,            /* struct stop, of one that took effect */
	PART_STOP_SENDER,     /* struct description */
	PART_PIPES,           /* struct pipes */
	PART_THREAD_ATTRIBUTES, /* behind PART_THREAD_CONTEXT: the attributes of its record, as they are in memory */
	PART_INIT_SIGNAL,     /* struct init_signal; behind a PART_TOOL without a name: no tool was executed */
	PART_GAP,             /* __u64: since when no probe was attached, until time_ns of the event */
};

enum part_flag {
	PART_FLAG_TRUNCATED = 1, /* there was more than fits, or more than could be read */
	/* Of PART_EXE, and in struct description. The executable … */
	EXE_DELETED = 2, /* … is at that path no longer: it was deleted or replaced */
	EXE_MEMFD = 4, /* … is in no file system that is mounted: memfd_create(2) */
	EXE_CHROOT = 8, /* … lies in a root that is not that of its mount namespace: chroot(2) */
	EXE_UNMOUNTED = 16, /* … lies in a file system that is in no mount namespace any more */
	EXE_FOREIGN_MOUNTS = 32, /* … is mounted in a namespace of another user namespace than the process's pid namespace */
	EXE_USER_MOUNTS = 64, /* … and the pid namespace belong to one user namespace, whose owner is not root */
};

enum uid_value {
	UID_UNSET = 0xffffffff, /* INVALID_UID */
};

/* Beside the effective user: who ran the program, and who logged in (UID_UNSET: no one, or the kernel keeps no login user). */
struct credentials {
	__u32 real_uid;
	__u32 login_uid;
	__u32 session; /* of the login; UID_UNSET: none */
	__u32 zero;
};
_Static_assert(sizeof(struct credentials) == 16, "no implicit padding");

/* Stands before each payload. The payload is padded to a multiple of 8. */
struct part {
	__u16 kind;  /* enum part_kind */
	__u16 flags; /* enum part_flag */
	__u32 bytes; /* of the payload, without the padding */
};
_Static_assert(sizeof(struct part) == 8, "payloads are aligned to 8");

enum event_flag {
	EVENT_FLAG_SHRUNK = 1,     /* the origin's share of the ring ran low: parts, or a kernel stack, were left out */
	EVENT_FLAG_OOM_VICTIM = 2, /* signal->oom_mm was set */
	EVENT_FLAG_RESTART = 4,    /* no termination: this process executes what PART_PREDECESSOR did; time_ns is its exec */
	EVENT_FLAG_USER_NAMESPACE = 8, /* not the initial user namespace */
	EVENT_FLAG_FACTS_REFUSED = 16, /* no facts are kept of it, and some of its origin were refused since it started */
	EVENT_FLAG_REQUEST = 32,     /* no termination: this process executed PART_TOOL, or sent PART_INIT_SIGNAL */
	EVENT_FLAG_REQUEST_END = 64, /* the termination of such a process, beside its own record */
	EVENT_FLAG_GAP = 128, /* no termination: no probe was attached since PART_GAP. The loader writes it */
};

enum status_mask {
	STATUS_SIGNAL = 0x7f, /* include/uapi/linux/wait.h: the signal in a status; 0: it exited */
};

struct event {
	__u32 abi;   /* EVENT_ABI */
	__u32 flags; /* enum event_flag */
	__u64 time_ns; /* CLOCK_BOOTTIME at sched_process_exit of the last thread */
	struct process_key key;
	__u32 status_raw; /* as wait4(2) returns it to the parent */
	__u32 vpid;       /* tgid in its own pid namespace */
	__u32 parent_pid; /* tgid of real_parent */
	__u32 tid;        /* the last thread */
	__u32 uid;        /* effective */
	__u32 gid;        /* effective */
	__u32 seccomp_mode;  /* of that thread */
	__u32 pdeath_signal; /* of the leader */
	__u32 ptrace;        /* flags of that thread and of the leader; 0: no tracer */
	__u32 threads;       /* when the signal of PART_SIGNAL or PART_REQUEST was generated; 0: not known */
	char comm[COMM_BYTES];        /* of the leader */
	char thread_comm[COMM_BYTES]; /* of that thread */
	/* Missing up to ABI 5: */
	struct origin origin;
	__s64 clock_offset_ns; /* CLOCK_REALTIME - CLOCK_BOOTTIME, at time_ns; 0: not known */
};
_Static_assert(sizeof(struct event) == 128, "no implicit padding: parts follow directly");

/* The terminated process that a new process may replace. */
struct predecessor {
	struct process_key key;
	__u64 time_ns; /* of its termination, CLOCK_BOOTTIME */
};
_Static_assert(sizeof(struct predecessor) == 24, "no implicit padding");

/*
 * The active span of a thread, as the thread publishes it: OTEP 4947, "Thread-Local Context Record", up to the size of its
 * attributes.
 * It is copied from user memory unchanged, so offsets are the specification's.
 */
struct thread_context {
	__u8 trace_id[16];
	__u8 span_id[8];
	__u8 valid; /* 1 in every record */
	__u8 trace_flags;
};
_Static_assert(sizeof(struct thread_context) == 26, "as OTEP 4947 lays it out");
_Static_assert(offsetof(struct thread_context, span_id) == 16 && offsetof(struct thread_context, valid) == 24,
	       "as OTEP 4947 lays it out");

struct ancestor {
	__u32 pid;
	char comm[COMM_BYTES];
};
_Static_assert(sizeof(struct ancestor) == 20, "no padding between the elements of PART_ANCESTORS");

enum cgroup_limit {
	CGROUP_DEPTH_MAX = 24, /* levels below the root: of a path that is reported, and of the top of what is watched */
};

/* The hierarchy in which a cgroup's id is unique. */
enum cgroup_hierarchy {
	HIERARCHY_UNIFIED,
	HIERARCHY_MEMORY,
	HIERARCHY_PIDS,
};

/* The kinds of kernel_siginfo pointers: SEND_SIG_NOINFO, SEND_SIG_PRIV, or a real one (include/linux/signal.h). */
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

/* include/uapi/linux/audit.h. A process of x32 has AUDIT_ARCH_X86_64, and bit 30 in its numbers. */
enum audit_arch {
	AUDIT_ARCH_I386 = 0x40000003,
	AUDIT_ARCH_ARM = 0x40000028,
	AUDIT_ARCH_X86_64 = 0xc000003e,
	AUDIT_ARCH_AARCH64 = 0xc00000b7,
};

/* The bits of task->flags (include/linux/sched.h) that are used, and one in place of PF_VCPU, which is not. */
enum task_flag {
	IN_USER_NAMESPACE = 0x00000001, /* not the initial one */
	PF_EXITING = 0x00000004,
	PF_FORKNOEXEC = 0x00000040,
	PF_KTHREAD = 0x00200000,
};

#define SIGNAL_HEAD_BYTES 112 /* of struct signal_fact, before its stack */

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
	__u32 committed; /* it set group_exit_code when it was generated, or was pending and later delivered with SIG_DFL */
	__u8 group;      /* sent to the process, not to a thread */
	__u8 sender_slot; /* of sender_parts (maps.h); 0: the sender is not described there */
	__u8 sender_process_lives; /* current exits, but other threads of its process do not */
	__u8 victim_stopped; /* a stop had begun (stops.h): no thread took the signal before SIGCONT */
	__u32 target_tid;
	__s32 syscall_nr; /* of current; -1: none, or not known */
	/* current, which is not always the sender */
	__u32 sender_tid;
	struct process_key sender;
	__u32 sender_uid;   /* effective */
	__u32 sender_flags; /* enum task_flag */
	__u64 sender_exec_id;
	char sender_comm[COMM_BYTES]; /* of its leader */
	__u32 syscall_arch; /* enum audit_arch: the table of syscall_nr; 0: not known */
	__u32 stack_frames;
	__u64 stack[STACK_FRAMES_MAX]; /* kernel addresses, innermost first */
};
_Static_assert(offsetof(struct signal_fact, stack) == SIGNAL_HEAD_BYTES,
	       "the record has only the used part of the stack, the last field");
_Static_assert(sizeof(struct signal_fact) == SIGNAL_HEAD_BYTES + 8 * STACK_FRAMES_MAX, "no padding behind the stack");

/* The pipes of standard input and output, by inode; 0: it is none. */
struct pipes {
	__u64 input;
	__u64 output;
	__u32 output_readers; /* open files that can read from it */
	__u32 zero;
};
_Static_assert(sizeof(struct pipes) == 24, "no implicit padding");

/* A signal that the processor or seccomp raised, as signal_deliver showed it. signo 0: none. */
struct fault {
	__u64 time_ns;
	__u32 signo;
	__s32 code;
	__u64 address;
	__u64 instruction_pointer;
	__u64 stack_pointer; /* 0: neither is known */
	__u64 trap_nr; /* x86 */
	__u64 error_code; /* x86 */
	__s32 syscall_nr; /* SIGSYS */
	__u32 syscall_arch;
	__u32 tid;
	__u32 has_trap; /* trap_nr and error_code are known */
	char thread_comm[COMM_BYTES];
};
_Static_assert(sizeof(struct fault) == 88, "no implicit padding");

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
_Static_assert(offsetof(struct oom, cgroup) == 56, "the record has only the used part of the cgroup, which is the last field");
_Static_assert(sizeof(struct oom) == 56 + PATH_BYTES_MAX, "no padding behind the cgroup");
