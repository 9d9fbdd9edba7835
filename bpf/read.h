/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Reading a task: ancestors, memory, registers; its paths are in paths.h. Every loop and every copy has a named limit, and
 * nothing here can sleep or fault: what is not resident is simply missing.
 */
#pragma once

#define MEMCG_DEPTH_MAX 16
#define COPY_BYTES 4096 /* at most a page at a time: a read that fails at its end returns nothing */

/* include/uapi/asm-generic/siginfo.h, 64 bit */
#define SIGINFO_CODE 8
#define SIGINFO_PID 16
#define SIGINFO_UID 20
#define SIGINFO_ADDRESS 16
#define SIGINFO_SYSCALL 24
#define SIGINFO_ARCH 28

/* include/linux/mm_types_task.h */
#define MM_FILEPAGES 0
#define MM_ANONPAGES 1
#define MM_SHMEMPAGES 3

volatile const __u32 page_bytes = 4096; /* set by the loader */

/* self_exec_id became 64 bits wide in 5.7; CO-RE reads the width that it has. */
static __always_inline __u64 exec_id(struct task_struct *task)
{
	return BPF_CORE_READ_BITFIELD_PROBED(task, self_exec_id);
}

/* What the process has installed for a signal. The stride of an array is not relocated by itself if the index is a variable. */
static __always_inline unsigned long handler_of(struct task_struct *task, __u32 signo)
{
	void *actions = (void *)READ(task, sighand) + bpf_core_field_offset(struct sighand_struct, action);
	struct k_sigaction *action = actions + ((signo - 1) & 63) * bpf_core_type_size(struct k_sigaction);

	return (unsigned long)READ(action, sa.sa_handler);
}

/* The tgid in the task's own pid namespace. */
static __always_inline __u32 vpid_of(struct signal_struct *signal)
{
	struct pid *pid = READ(signal, pids[1 /* PIDTYPE_TGID */]);
	struct upid *innermost = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				 (READ(pid, level) & 63) * bpf_core_type_size(struct upid);

	return READ(innermost, nr);
}

static __always_inline void *current_registers(void)
{
	/* bpf_task_pt_regs() is there from 5.15; on an older kernel the branch is gone before the verifier sees it. */
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());
	return NULL;
}

static __always_inline __s32 current_syscall(void)
{
	void *registers = current_registers();
	long orig_ax = -1;
	__s32 nr = -1;

	if (!registers)
		return -1;
	if (bpf_core_type_exists(struct pt_regs___x86) && bpf_core_field_exists(((struct pt_regs___x86 *)0)->orig_ax)) {
		bpf_core_read(&orig_ax, sizeof(orig_ax), &((struct pt_regs___x86 *)registers)->orig_ax);
		nr = orig_ax;
	} else if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->syscallno)) {
		bpf_core_read(&nr, sizeof(nr), &((struct pt_regs___arm64 *)registers)->syscallno);
	}
	return nr;
}

static __always_inline void read_registers(struct fault *fault)
{
	void *registers = current_registers();

	fault->instruction_pointer = 0;
	fault->stack_pointer = 0;
	if (!registers)
		return;
	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->ip)) {
		bpf_core_read(&fault->instruction_pointer, 8, &((struct pt_regs___x86 *)registers)->ip);
		bpf_core_read(&fault->stack_pointer, 8, &((struct pt_regs___x86 *)registers)->sp);
	} else if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->pc)) {
		bpf_core_read(&fault->instruction_pointer, 8, &((struct pt_regs___arm64 *)registers)->pc);
		bpf_core_read(&fault->stack_pointer, 8, &((struct pt_regs___arm64 *)registers)->sp);
	}
}

static __always_inline void read_trap(struct fault *fault, struct task_struct *task)
{
	struct thread_struct___x86 *thread = (void *)task + bpf_core_field_offset(struct task_struct, thread);

	fault->has_trap = bpf_core_field_exists(thread->trap_nr);
	fault->trap_nr = 0;
	fault->error_code = 0;
	if (fault->has_trap) {
		bpf_core_read(&fault->trap_nr, 8, &thread->trap_nr);
		bpf_core_read(&fault->error_code, 8, &thread->error_code);
	}
}

/* Returns how many. */
static __noinline __u32 read_ancestors(struct ancestor *out, struct task_struct *task)
{
	__u32 count = 0;

	UNROLL
	for (int i = 0; i < ANCESTORS_MAX; i++) {
		task = READ(task, real_parent, group_leader);
		out[i].pid = READ(task, tgid);
		if (!out[i].pid)
			return count;
		bpf_core_read(&out[i].comm, sizeof(out[i].comm), &task->comm);
		count++;
	}
	return count;
}

/* Copies current's memory in pieces that end at page borders. Returns the bytes up to the first that are missing. */
static __noinline __u64 copy_user(char *out, __u64 from, __u64 bytes)
{
	__u64 first, rest;

	if (bytes > COPY_BYTES)
		bytes = COPY_BYTES;
	first = page_bytes - (from & (page_bytes - 1));
	if (first > bytes)
		first = bytes;
	if (first > COPY_BYTES || bpf_probe_read_user(out, first, (void *)from))
		return 0;
	rest = bytes - first;
	if (!rest || rest > COPY_BYTES || first > COPY_BYTES)
		return first;
	if (bpf_probe_read_user(out + first, rest, (void *)(from + first)))
		return first;
	return first + rest;
}

/* current's arguments as they lie in memory, up to max (≤ COPY_BYTES). Returns the bytes, | TRUNCATED. */
static __always_inline __u64 read_args(char *out, struct mm_struct *mm, __u64 max)
{
	__u64 start = READ(mm, arg_start), end = READ(mm, arg_end);
	__u64 wanted, bytes;

	if (!start || end <= start)
		return 0;
	wanted = end - start > max ? max : end - start;
	bytes = copy_user(out, start, wanted);
	return end - start > bytes ? bytes | TRUNCATED : bytes;
}

static __always_inline __s64 pages_of(struct mm_struct *mm, __u32 member)
{
	__s64 pages = 0;

	if (bpf_core_type_exists(struct mm_rss_stat)) {
		bpf_core_read(&pages, sizeof(pages), &((struct mm_struct___atomic *)mm)->rss_stat.count[member].counter);
	} else {
		struct percpu_counter *counter = (void *)mm + bpf_core_field_offset(struct mm_struct___percpu, rss_stat) +
						 member * bpf_core_type_size(struct percpu_counter);

		pages = READ(counter, count);
	}
	return pages < 0 ? 0 : pages;
}

/* The sizes as the kernel's own log line has them: get_mm_counter(), without what is still cached per CPU. */
static __always_inline void read_sizes(struct oom *oom, struct mm_struct *mm)
{
	if (!mm)
		return;
	oom->total_vm = READ(mm, total_vm);
	oom->anon_rss = pages_of(mm, MM_ANONPAGES);
	oom->file_rss = pages_of(mm, MM_FILEPAGES);
	oom->shmem_rss = pages_of(mm, MM_SHMEMPAGES);
}

/* The nearest memory cgroup with less room than the largest batch of a charge (MEMCG_CHARGE_BATCH is 64 pages). */
static __always_inline void read_limit(struct oom *oom, struct task_struct *task)
{
	struct cgroup_subsys_state *css = NULL;
	struct css_set *css_set = READ(task, cgroups);

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return;
	bpf_core_read(&css, sizeof(css), &css_set->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) & 15]);
	UNROLL
	for (int i = 0; i < MEMCG_DEPTH_MAX; i++) {
		struct mem_cgroup *memcg;
		__u64 max, usage;

		if (!css)
			return;
		memcg = (void *)css - bpf_core_field_offset(struct mem_cgroup, css);
		max = READ(memcg, memory.max);
		usage = READ(memcg, memory.usage.counter);
		if (usage + 64 >= max) {
			oom->limit = max;
			oom->cgroup_bytes = read_cgroup_path(oom->cgroup, READ(css, cgroup)) & ~TRUNCATED;
			return;
		}
		css = READ(css, parent);
	}
}

/* All of it, of a victim whose memory is mm. */
static __always_inline void read_oom(struct oom *oom, struct task_struct *victim, struct mm_struct *mm)
{
	oom->time_ns = bpf_ktime_get_boot_ns();
	oom->score_adj = READ(victim, signal, oom_score_adj);
	oom->total_vm = oom->anon_rss = oom->file_rss = oom->shmem_rss = 0;
	oom->limit = oom->cgroup_bytes = 0;
	read_sizes(oom, mm);
	read_limit(oom, victim);
}

/* current, in full. */
static __always_inline void describe(struct description *out, struct task_struct *task, __u64 now_ns)
{
	struct mm_struct *mm = READ(task, mm);
	struct fs_struct *fs = READ(task, fs);
	__u64 exe = 0, cgroup, args = 0;

	if (mm && fs)
		exe = read_path(out->data, &READ(mm, exe_file)->f_path, &fs->root) & ~TRUNCATED;
	if (exe > PATH_BYTES_MAX)
		exe = 0;
	cgroup = read_cgroup_path(out->data + exe, cgroup_of(task)) & ~TRUNCATED;
	if (cgroup > PATH_BYTES_MAX)
		cgroup = 0;
	if (mm)
		args = read_args(out->data + exe + cgroup, mm, SENDER_ARGS_BYTES_MAX);
	out->time_ns = now_ns;
	out->exe_bytes = exe;
	out->cgroup_bytes = cgroup;
	out->args_bytes = args & ~TRUNCATED;
	out->args_truncated = args != out->args_bytes;
	out->ancestors_count = read_ancestors(out->ancestors, task);
}
