/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types, cut down to the fields that the probes read. Offsets do not matter here: every access is relocated
 * (CO-RE) against the running kernel's BTF, so one object serves all kernels. A name with ___ is a flavour: another
 * shape of the same kernel type, chosen at load time by what the running kernel has, never by its version.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	long counter;
} atomic_long_t;

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct user_namespace {
	struct user_namespace *parent;
	int level;
	kuid_t owner;
};

struct cred {
	kuid_t uid;
	kuid_t euid;
	kgid_t egid;
	struct user_namespace *user_ns;
};

struct pid_namespace {
	struct user_namespace *user_ns;
	int reboot;
};

struct ns_common {
	unsigned int inum;
};

struct new_utsname {
	char nodename[65];
};

struct uts_namespace {
	struct new_utsname name;
	struct ns_common ns;
};

struct nsproxy {
	struct uts_namespace *uts_ns;
	struct mnt_namespace *mnt_ns;
};

struct percpu_counter {
	__s64 count;
};

/* From 6.1: the mappings of a process, by address. */
struct maple_tree {
	void *ma_root;
};

struct mm_struct {
	struct maple_tree mm_mt;
	void *pgd;
	unsigned long total_vm;
	unsigned long start_stack;
	unsigned long brk;
	unsigned long mmap_base;
	unsigned long arg_start, arg_end, env_start, env_end;
	struct file *exe_file;
	unsigned long saved_auxv[1];
};

/* From 5.17 on, and where CONFIG_ANON_VMA_NAME is set. */
struct anon_vma_name {
	char name[1];
};

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	struct file *vm_file;
	struct anon_vma_name *anon_name;
};

/* From 6.2: "mm: convert mm's rss stats into percpu_counter". */
struct mm_struct___percpu {
	struct percpu_counter rss_stat[4];
};

/* Before. */
struct mm_rss_stat {
	atomic_long_t count[4];
};

struct mm_struct___atomic {
	struct mm_rss_stat rss_stat;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct sigaction {
	void *sa_handler;
};

/* Where CONFIG_ARCH_HAS_SA_RESTORER is set, or __ARCH_HAS_SA_RESTORER defined. */
struct sigaction___restorer {
	void *sa_restorer;
};

struct k_sigaction {
	struct sigaction sa;
};

struct sighand_struct {
	struct k_sigaction action[64];
};

typedef struct {
	unsigned long sig[1];
} sigset_t;

struct sigpending {
	sigset_t signal;
};

struct signal_struct {
	atomic_t live;
	struct sigpending shared_pending;
	int nr_threads;
	int group_exit_code;
	int group_stop_count;
	unsigned int flags;
	struct pid *pids[4];
	short oom_score_adj;
	struct mm_struct *oom_mm;
};

struct seccomp {
	int mode;
};

struct thread_struct {
};

struct thread_struct___x86 {
	unsigned long trap_nr;
	unsigned long error_code;
	unsigned long fsbase;
};

struct thread_struct___arm64 {
	struct {
		unsigned long tp_value;
	} uw;
};

struct thread_info {
	unsigned long flags;
};

struct thread_info___x86 {
	__u32 status;
};

struct list_head {
	struct list_head *next;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	unsigned int ptrace;
	unsigned long jobctl;
	struct mm_struct *mm;
	int exit_code;
	int pdeath_signal;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct list_head children;
	struct task_struct *group_leader;
	__u64 start_boottime;
	struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	struct sigpending pending;
	sigset_t blocked;
	struct seccomp seccomp;
	unsigned long sas_ss_sp;
	size_t sas_ss_size;
	__u64 self_exec_id;
	struct css_set *cgroups;
	struct thread_struct thread;
};

/* Where CONFIG_AUDIT is set. */
struct task_struct___audit {
	kuid_t loginuid;
	unsigned int sessionid;
};

struct pt_regs___x86 {
	unsigned long orig_ax;
	unsigned long di;
	unsigned long ip;
	unsigned long sp;
};

struct pt_regs___arm64 {
	__u64 sp;
	__u64 pc;
	__u64 orig_x0;
	__s32 syscallno;
};

/* The types below are never read. That a type or its member exists shows what the kernel offers (features.h). */
struct trace_event_raw_sched_process_exit {
	bool group_dead;
};

struct trace_event_raw_mark_victim {
	unsigned long total_vm;
};

typedef struct {
	void *lock;
} class_srcu_fast_notrace_t;

struct bpf_iter_task_vma___kernel {
	__u64 opaque[1];
};

#pragma clang attribute pop
