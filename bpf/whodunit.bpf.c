// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The probes. They remember facts about a signal under the identity of its victim, and the exit hands over everything in one
 * record. They form no opinion: that is the service's work. Reading a task is in read.h and paths.h, building the
 * record in record.h.
 *
 * All hooks are raw tracepoints: they need neither tracefs nor kprobes, exist since 4.17, and their arguments are plain
 * numbers, so a special siginfo pointer (0 or 1) can be told from a real one. The verifiers of several kernels take it for
 * valid in BTF-typed tracepoints and let the program read address 8.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "signals.h"
#include "maps.h"
#include "paths.h"
#include "read.h"
#include "record.h"
#include "identity.h"
#include "thread.h"
#include "restart.h"

/* include/linux/sched.h */
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000
/* include/linux/sched/signal.h */
#define SIGNAL_GROUP_EXIT 0x00000004
/* include/trace/events/signal.h */
#define TRACE_SIGNAL_DELIVERED 0
#define TRACE_SIGNAL_IGNORED 1
#define TRACE_SIGNAL_LOSE_INFO 4
/* include/uapi/linux/wait.h: the signal in a status; 0: it exited */
#define WAIT_SIGNAL 0x7f
/* include/uapi/asm-generic/errno-base.h */
#define EEXIST 17

extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline __u32 action_of(unsigned long handler)
{
	return handler == SIG_DFL ? ACTION_DEFAULT : handler == SIG_IGN ? ACTION_IGNORED : ACTION_HANDLED;
}

/* Who runs now, in full: once for all the signals that it sends within a second, as it may change its name or user. */
static __always_inline void remember_sender(const struct signal_fact *fact, struct task_struct *task)
{
	struct sender_key key = {.process = fact->sender, .exec_id = fact->sender_exec_id};
	struct description *known = bpf_map_lookup_elem(&senders, &key);
	struct described *fresh;
	__u32 zero = 0;

	if (known && fact->time_ns - known->time_ns < 1000000000)
		return;
	fresh = bpf_map_lookup_elem(&sender_scratch, &zero);
	if (!fresh)
		return;
	describe(&fresh->description, task, fact->time_ns);
	bpf_map_update_elem(&senders, &key, &fresh->description, BPF_ANY);
}

/*
 * A polite signal with the default action that did not end the process was blocked. Is it no longer pending, then sigwait(2) or
 * signalfd(2) took it, and that is how it was handled. Left out: one for a single thread, and one that a tracer may have swallowed.
 */
static __always_inline void note_taken(struct signal_fact *fact, struct task_struct *victim)
{
	if (!HAS(REQUESTS, fact->signo) || fact->committed || !fact->group || READ(victim, ptrace))
		return;
	if (!HAS(READ(victim, signal, shared_pending.signal.sig[0]), fact->signo))
		fact->action = ACTION_HANDLED;
}

/* Did the process send it to itself, or do what brings it, as writing to a broken pipe does? Then current is the thread that did. */
static __always_inline bool is_own(const struct signal_fact *fact, const struct memory *memory)
{
	return fact->sender.pid == memory->key.pid && (fact->code == SI_USER || fact->code == SI_QUEUE || fact->code == SI_TKILL);
}

/* Before another signal takes the place of a polite one that was blocked. */
static __always_inline void keep_request(struct memory *memory, struct task_struct *victim)
{
	struct signal_fact *blocked = &memory->signal;

	if (!HAS(REQUESTS, blocked->signo) || blocked->committed)
		return;
	if (memory->request.signo && blocked->sender.pid == memory->key.pid)
		return;
	note_taken(blocked, victim);
	memory->request = *blocked;
}

/*
 * signal_generate fires at the end of __send_signal_locked(), after complete_signal(), with the victim's siglock held.
 * There the killer commits: if the victim's group_exit_code is this signal now, this very signal ended it. A core-dumping,
 * blocked or traced one commits later, so it is remembered as what may come true.
 * Misses: deaths without a signal sent (zap_other_threads, strict seccomp, exit).
 */
SEC("raw_tp/signal_generate")
int on_signal_generate(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 signo = ctx->args[0];
	__u32 result = ctx->args[4];
	struct task_struct *victim, *leader, *current, *current_leader;
	struct signal_struct *signal;
	struct process_key sender;
	struct signal_fact *fact;
	struct memory *memory;
	unsigned long siginfo;
	__u32 flags, action;
	bool committed, asked;

	if (signo - 1 >= SIGNALS || HAS(HARMLESS, signo))
		return 0;
	if (result != TRACE_SIGNAL_DELIVERED && result != TRACE_SIGNAL_LOSE_INFO &&
	    !(result == TRACE_SIGNAL_IGNORED && HAS(REQUESTS, signo)))
		return 0;

	victim = (void *)ctx->args[2];
	action = action_of(handler_of(victim, signo));
	/* First, as most signals end here: what does not have its default action commits nothing (sig_fatal() of kernel/signal.c). */
	if (action != ACTION_DEFAULT && !HAS(REQUESTS | CRASHES, signo))
		return 0;
	signal = READ(victim, signal);
	flags = READ(signal, flags);
	committed = result != TRACE_SIGNAL_IGNORED && flags & SIGNAL_GROUP_EXIT && READ(signal, group_exit_code) == signo;
	/* It is dying already, or a zombie. prepare_signal() drops what comes too late, but not on 5.10. */
	if ((flags & SIGNAL_GROUP_EXIT && !committed) || !READ(signal, live.counter))
		return 0;
	current = (void *)bpf_get_current_task();
	if (!committed && HAS(CRASHES, signo) && action != ACTION_DEFAULT && READ(current, signal) == signal)
		return 0;
	if (READ(victim, flags) & PF_KTHREAD)
		return 0;

	leader = READ(victim, group_leader);
	memory = remember(leader);
	if (!memory)
		return 0;
	/* An init is spared a default action that would end it (SIGNAL_UNKILLABLE): it was asked, too, as is one that ignores it. */
	asked = !committed && (action != ACTION_DEFAULT || result == TRACE_SIGNAL_IGNORED);
	fact = asked ? &memory->request : &memory->signal;
	/* Only SIGKILL, during a core dump, takes the place of what ended it; another one of the same number comes too late. */
	if (fact->committed && (!committed || fact->signo == signo))
		return 0;
	if (!asked && fact->signo != signo)
		keep_request(memory, victim);
	current_leader = READ(current, group_leader);
	sender = key_of(current_leader);
	/* Who asked first is whom one wants to know: runtimes handle the request, and raise the same signal again (Go does so twice). */
	if (asked && fact->signo && fact->sender.pid != memory->key.pid && sender.pid == memory->key.pid)
		return 0;
	memory->threads = READ(signal, nr_threads);

	siginfo = ctx->args[1];
	fact->time_ns = bpf_ktime_get_boot_ns();
	fact->signo = signo;
	fact->siginfo = siginfo < SIGINFO_REAL ? siginfo : SIGINFO_REAL;
	fact->code = siginfo == SIGINFO_NOINFO ? SI_USER : SI_KERNEL;
	fact->siginfo_pid = 0;
	fact->siginfo_uid = 0;
	if (siginfo > SIGINFO_REAL) {
		bpf_probe_read_kernel(&fact->code, sizeof(fact->code), (void *)siginfo + SIGINFO_CODE);
		bpf_probe_read_kernel(&fact->siginfo_pid, sizeof(fact->siginfo_pid), (void *)siginfo + SIGINFO_PID);
		bpf_probe_read_kernel(&fact->siginfo_uid, sizeof(fact->siginfo_uid), (void *)siginfo + SIGINFO_UID);
	}
	fact->result = result;
	fact->action = action;
	fact->committed = committed;
	fact->group = ctx->args[3] != 0;
	fact->target_tid = READ(victim, pid);
	fact->syscall_nr = current_syscall();

	fact->sender_tid = READ(current, pid);
	fact->sender = sender;
	fact->sender_uid = READ(current, cred, euid.val);
	fact->sender_flags = READ(current, flags);
	fact->sender_exec_id = exec_id(current);
	bpf_core_read(&fact->sender_comm, sizeof(fact->sender_comm), &current_leader->comm);

	/* A real siginfo with a user's code was asked for by a system call; for the rest, the stack tells the reason. */
	fact->stack_frames = 0;
	if (siginfo <= SIGINFO_REAL) {
		long bytes = bpf_get_stack(ctx, fact->stack, sizeof(fact->stack), 0);

		if (bytes > 0)
			fact->stack_frames = bytes / sizeof(fact->stack[0]);
	}
	if (fact->code <= 0 && fact->code != SI_TIMER && fact->sender.pid && fact->sender.pid != memory->key.pid)
		remember_sender(fact, current);
	if (wants_thread_context && committed && is_own(fact, memory))
		note_culprit(signo);
	return 0;
}

/*
 * A signal that was pending comes true: it dumps core, was blocked, or a tracer let it through. A tracer that puts one of its own in its
 * place, with the same number, shows in the siginfo: then the sender of the first has no part in it.
 */
static __always_inline void come_true(__u32 signo, __s32 code, unsigned long siginfo)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct process_key key = key_of(READ(current, group_leader));
	struct memory *memory = bpf_map_lookup_elem(&memories, &key);
	struct signal_fact *fact;
	__s32 pid = 0;

	if (!memory)
		return;
	fact = &memory->signal;
	if (fact->signo != signo || fact->committed)
		return;
	if (siginfo >= SIGINFO_REAL)
		bpf_probe_read_kernel(&pid, sizeof(pid), (void *)siginfo + SIGINFO_PID);
	if (fact->siginfo == SIGINFO_REAL && fact->result == TRACE_SIGNAL_DELIVERED &&
	    (fact->code != code || fact->siginfo_pid != pid))
		fact->signo = 0;
	else
		fact->committed = true;
	/* It may have been sent long ago, and by another thread: whose span it was then is not known. */
	if (wants_thread_context && fact->signo && is_own(fact, memory) && fact->sender_tid == READ(current, pid))
		note_culprit(signo);
}

/*
 * signal_deliver fires in get_signal(), in the thread that takes the signal, with the siglock held and its memory intact.
 * Here a fault shows whether it is the end (SIG_DFL) or goes to a handler. The last fault that went to a handler is kept:
 * it explains a handler that aborts, exits or raises the signal again. What committed where it was generated shows as SIGKILL.
 * Misses: faults that the kernel handles itself, and those that a tracer swallows.
 */
SEC("raw_tp/signal_deliver")
int on_signal_deliver(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 signo = ctx->args[0];
	struct task_struct *current;
	struct memory *memory;
	struct fault *fault;
	unsigned long siginfo, handler;
	__s32 code = SI_KERNEL;
	__u64 address = 0;

	if (signo - 1 >= SIGNALS || HAS(HARMLESS | BIT(SIGKILL), signo))
		return 0;
	handler = (unsigned long)READ((struct k_sigaction *)ctx->args[2], sa.sa_handler);
	if (!HAS(FAULTS, signo) && action_of(handler) != ACTION_DEFAULT)
		return 0;
	siginfo = ctx->args[1];
	if (siginfo == SIGINFO_NOINFO)
		code = SI_USER;
	else if (siginfo >= SIGINFO_REAL)
		bpf_probe_read_kernel(&code, sizeof(code), (void *)siginfo + SIGINFO_CODE);
	if (!HAS(FAULTS, signo) || code <= 0) {
		if (action_of(handler) == ACTION_DEFAULT)
			come_true(signo, code, siginfo);
		return 0;
	}

	current = (void *)bpf_get_current_task();
	memory = remember(READ(current, group_leader));
	if (!memory)
		return 0;
	fault = action_of(handler) == ACTION_DEFAULT ? &memory->fault : &memory->handled_fault;
	fault->time_ns = bpf_ktime_get_boot_ns();
	fault->signo = signo;
	fault->code = code;
	fault->syscall_nr = -1;
	fault->syscall_arch = 0;
	if (siginfo >= SIGINFO_REAL) {
		bpf_probe_read_kernel(&address, sizeof(address), (void *)siginfo + SIGINFO_ADDRESS);
		if (signo == SIGSYS) {
			bpf_probe_read_kernel(&fault->syscall_nr, sizeof(fault->syscall_nr), (void *)siginfo + SIGINFO_SYSCALL);
			bpf_probe_read_kernel(&fault->syscall_arch, sizeof(fault->syscall_arch), (void *)siginfo + SIGINFO_ARCH);
		}
	}
	fault->address = address;
	fault->tid = READ(current, pid);
	bpf_get_current_comm(&fault->thread_comm, sizeof(fault->thread_comm));
	read_registers(fault);
	read_trap(fault, current);
	if (wants_thread_context && fault == &memory->fault)
		note_culprit(signo);
	return 0;
}

/*
 * mark_victim fires in mark_oom_victim(), after the SIGKILL was generated. The prototype with a task (6.8, and backports)
 * shows the sizes; the older one has a bare pid, and the loader does not load this program there (hooks.go): that this death was an
 * OOM kill is told by signal->oom_mm at exit all the same.
 */
SEC("raw_tp/mark_victim")
int on_mark_victim(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *victim, *leader;
	struct process_key key;
	struct oom *oom;

	victim = (void *)ctx->args[0];
	/* It was faster, on another processor: its exit has told the sizes, and nobody would delete what is remembered now. */
	if (tells_last_thread() && !READ(victim, signal, live.counter))
		return 0;
	leader = READ(victim, group_leader);
	key = key_of(leader);
	bpf_map_update_elem(&oom_victims, &key, &no_oom, BPF_ANY);
	oom = bpf_map_lookup_elem(&oom_victims, &key);
	if (!oom) {
		count_memory_full();
		return 0;
	}
	/* A victim whose SIGKILL was not remembered must still be looked up at its exit. */
	remember(leader);
	read_oom(oom, victim, READ(victim, mm));
	return 0;
}

static __always_inline __u32 status_of(struct signal_struct *signal, struct task_struct *leader)
{
	if (READ(signal, flags) & SIGNAL_GROUP_EXIT)
		return READ(signal, group_exit_code);
	return READ(leader, exit_code);
}

/*
 * exit_mm_release() runs in exit_mm(), in each thread (seen on 5.10, 6.1, 6.12). It is hooked only on kernels before 6.16, where
 * sched_process_exit comes later and finds no memory, and only where fentry works: it adds executable, arguments and environment
 * to the record, and nothing else depends on it. The first thread to die of the process's end keeps them for all: which one will
 * report cannot be told yet.
 */
SEC("fentry/exit_mm_release")
int on_exit_mm_release(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct task_struct *leader = READ(task, group_leader);
	struct signal_struct *signal = READ(task, signal);
	struct process_key key;
	bool asked;

	/* During a core dump, the others wait behind this point with the group's code set and without SIGNAL_GROUP_EXIT. */
	if (!status_of(signal, leader) && !READ(signal, group_exit_code))
		return 0;
	/* Whoever asked for the end says it again: the first one did not know who that is. */
	asked = wants_thread_context && note_exit(task);
	key = key_of(leader);
	if (asked || !bpf_map_lookup_elem(&last_words, &key))
		remember_last_words(&key);
	return 0;
}

/*
 * False: a probe of this build ran for the exit of this thread. Who has its slot now can only be a thread that exits meanwhile. An address
 * is used again, and so are id and start, by a thread that execs and becomes the leader (de_thread()), but never all of them.
 */
static __always_inline bool first_look(struct task_struct *task)
{
	__u64 thread = (__u64)task ^ READ(task, start_boottime);
	__u32 slot = READ(task, pid) & (EXIT_SLOTS - 1);
	__u64 *last = bpf_map_lookup_elem(&exits, &slot);

	if (!last)
		return true;
	if (*last == thread)
		return false;
	*last = thread;
	return true;
}

/*
 * sched_process_exit fires in do_exit(), once for each thread. Only the last thread's is the death of the process; since 6.16
 * the tracepoint says so and the memory is still readable. Before, signal->live == 0 tells it, which up to four racing
 * threads can read, so the first to enter `seen` reports. So it is, too, while one set of probes replaces another (upgrade.go): both
 * run then.
 * The status is that of wait_task_zombie(): the group's if it exited as a group, else the leader's.
 */
static __always_inline void on_exit(struct bpf_raw_tracepoint_args *ctx, bool preemptible, bool again)
{
	const bool told_last = tells_last_thread();
	struct task_struct *task = (void *)ctx->args[0];
	struct signal_struct *signal;
	struct task_struct *leader;
	struct counters *counters;
	struct process_key key;
	__u32 status, zero = 0;
	__u32 *slot, remembered_count;
	struct memory *memory;
	bool has_memory;

	counters = bpf_map_lookup_elem(&counters_map, &zero);
	if (!counters)
		return;
	if (preemptible && !first_look(task))
		return;
	if (again)
		counters->exits_rescued++;
	if (wants_thread_context && told_last)
		note_exit(task);
	if (told_last && !(ctx->args[1] & 0xff))
		return;
	signal = READ(task, signal);
	if (!told_last && READ(signal, live.counter))
		return;
	if (READ(task, flags) & PF_KTHREAD)
		return;
	leader = READ(task, group_leader);
	/* A look into the array, where nearly always there is nothing, saves one into the hash. */
	slot = remembered_slot(READ(task, tgid));
	remembered_count = slot ? *slot : 0;
	has_memory = remembered_count & ~OVERLAP;
	if (scope_id && !in_scope(task)) {
		if (has_memory) {
			key = key_of(leader);
			forget(&key);
		}
		return;
	}
	status = status_of(signal, leader);
	if (!told_last || (preemptible && status) || remembered_count & OVERLAP) {
		key = key_of(leader);
		/* An int: the map's own function is called, which before 6.4 (bpf: return long from bpf_map_ops funcs) gave no more bits. */
		if ((int)bpf_map_update_elem(&seen, &key, &zero, BPF_NOEXIST) == -EEXIST)
			return;
	}
	if (has_memory && status && !(status & WAIT_SIGNAL)) {
		key = key_of(leader);
		memory = bpf_map_lookup_elem(&memories, &key);
		if (memory)
			note_taken(&memory->signal, task);
	}
	if (status)
		report(task, leader, signal, status, has_memory, counters);
	else
		counters->exits_normal++;
	if (has_memory) {
		key = key_of(leader);
		forget(&key);
	}
}

SEC("raw_tp/sched_process_exit")
int on_sched_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	if (!bpf_core_type_exists(class_srcu_fast_notrace_t)) {
		on_exit(ctx, false, false);
		return 0;
	}
	bpf_preempt_disable();
	on_exit(ctx, true, false);
	bpf_preempt_enable();
	return 0;
}

/*
 * The same twice more, for kernels that may preempt a tracepoint's probes (seen on 7.2): they skip a probe that is active on the
 * processor, for whoever exits while somebody else is preempted in it. These take those, of whom the first knows nothing. All
 * forbid preemption while they work, as they use the same memory; but giving it back is where they are preempted.
 * Misses: an exit that comes while three others are preempted in one each; counted (Counters() in probes.go). With two programs that
 * was seen, as the threads of a process exit together.
 */
SEC("raw_tp/sched_process_exit")
int on_sched_process_exit_again(struct bpf_raw_tracepoint_args *ctx)
{
	bpf_preempt_disable();
	on_exit(ctx, true, true);
	bpf_preempt_enable();
	return 0;
}

SEC("raw_tp/sched_process_exit")
int on_sched_process_exit_once_more(struct bpf_raw_tracepoint_args *ctx)
{
	bpf_preempt_disable();
	on_exit(ctx, true, true);
	bpf_preempt_enable();
	return 0;
}

/* Types that the loader reads, and that no variable here has: named so that they are in the object's BTF. */
const struct part *unused_part __attribute__((unused));
const struct event *unused_event __attribute__((unused));
const struct dead *unused_dead __attribute__((unused));
const struct ancestor *unused_ancestor __attribute__((unused));
const enum part_kind *unused_part_kind __attribute__((unused));
const enum siginfo_kind *unused_siginfo_kind __attribute__((unused));
const enum signal_action *unused_signal_action __attribute__((unused));
const enum cgroup_hierarchy *unused_cgroup_hierarchy __attribute__((unused));
