// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs, one for each hook. They keep facts about a signal under the identity of its victim, and the exit of its last
 * thread hands over everything in one record (report.h). They classify nothing: that is the service's work.
 *
 * All required hooks are raw tracepoints: they need neither tracefs nor kprobes, exist since 4.17, and their arguments are plain
 * numbers, so that a special siginfo pointer (0 or 1) can be distinguished from a real one. In BTF-typed tracepoints, the
 * verifiers of several kernels accept such a pointer as valid, and the program reads address 8 (docs/decisions/0001).
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "crash.h"
#include "crash_calibration.h"
#include "crash_slot.h"
#include "event.h"
#include "exec.h"
#include "exit.h"
#include "features.h"
#include "go_types.h"
#include "kernel.h"
#include "load.h"
#include "maps.h"
#include "mm_snapshot.h"
#include "oom.h"
#include "pending_facts.h"
#include "repeat_key.h"
#include "requests.h"
#include "init_signals.h"
#include "notable_signals.h"
#include "restart.h"
#include "scratch.h"
#include "signal_facts.h"
#include "signals.h"
#include "stops.h"
#include "task.h"
#include "trigger_thread.h"

extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * signal_generate fires at the end of __send_signal_locked(), after complete_signal(), with the victim's siglock held, on all
 * supported kernels. It is the only hook in which current is the sender and in which a kill commits: if the victim's
 * group_exit_code is this signal now, this signal terminated it. A signal that dumps core, is blocked or goes to a traced process
 * commits later, in signal_deliver; until then it is kept as pending.
 * Misses: terminations without a sent signal (zap_other_threads(), strict seccomp, exit).
 */
SEC("raw_tp/signal_generate")
int on_signal_generate(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 signo = ctx->args[0], action;

	if (signo - 1 >= SIGNALS)
		return 0;
	if (HAS(HARMLESS, signo)) {
		if (HAS(STOPPERS | BIT(SIGCONT), signo))
			on_job_control(ctx);
		return 0;
	}
	action = action_of(handler_of((void *)ctx->args[2], signo));
	/* Tested first, since it rejects most signals: none commits without the default action (sig_fatal()). */
	if (action == ACTION_DEFAULT || HAS(REQUESTS | CRASHES, signo)) {
		on_notable_signal(ctx, action);
		if (HAS(ASKS_INIT, signo))
			on_init_signal(ctx);
	}
	return 0;
}

/*
 * A signal is delivered to current that terminates or stops it, or a fault that its handler takes. As on_notable_signal(), a function of its
 * own. Returns 0.
 */
static __noinline __u64 on_notable_delivery(__u32 signo, unsigned long siginfo, __u32 action)
{
	bool terminates = action == ACTION_DEFAULT;
	struct siginfo_words words;
	struct task_struct *current;
	struct pending_facts *facts;
	struct fault *fault;

	if (HAS(STOPPERS, signo)) {
		if (terminates)
			begin_stop(signo);
		return 0;
	}
	words = read_siginfo(siginfo);
	if (!HAS(FAULTS, signo) || words.code <= 0) {
		if (!terminates)
			return 0;
		commit_pending(signo, &words);
		if (HAS(CRASHES, signo)) {
			keep_registers(signo, false, bpf_ktime_get_boot_ns());
			capture_at_delivery();
		}
		return 0;
	}

	current = (void *)bpf_get_current_task();
	facts = facts_of(SCRATCH_SIGNAL, READ(current, group_leader), terminates ? FACT_COMMITS : FACT_SELF);
	if (!facts)
		return 0;
	fault = terminates ? &facts->fault : &facts->handled_fault;
	fill_fault(fault, signo, &words, siginfo);
	keep_registers(signo, !terminates, fault->time_ns);
	if (terminates)
		capture_at_delivery();
	if (wants_thread_context && terminates)
		mark_trigger_thread(signo);
	return 0;
}

/*
 * signal_deliver fires in get_signal(), in the thread that dequeues the signal, with the siglock held and the mm intact, on all
 * supported kernels. It shows whether a fault terminates (SIG_DFL) or goes to a handler, and which pending signal takes effect.
 * The last fault that went to a handler is kept: it explains a handler that aborts, exits or raises the signal again. A signal
 * that committed in signal_generate appears here as SIGKILL.
 * Misses: faults that the kernel fixes up itself, and those that a tracer suppresses.
 */
SEC("raw_tp/signal_deliver")
int on_signal_deliver(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 signo = ctx->args[0];
	__u32 action;

	if (signo - 1 >= SIGNALS || HAS((HARMLESS & ~STOPPERS) | BIT(SIGKILL), signo))
		return 0;
	action = action_of((unsigned long)READ((struct k_sigaction *)ctx->args[2], sa.sa_handler));
	if (action == ACTION_DEFAULT || HAS(FAULTS, signo))
		on_notable_delivery(signo, ctx->args[1], action);
	return 0;
}

/*
 * mark_victim fires in mark_oom_victim(), after the SIGKILL was generated. It is the only hook that shows the sizes that the OOM
 * killer chose by. With the task as its argument since 6.8, and in backports; before, it has a bare pid, and the loader does not
 * load this program (mark_victim_sizes in features.h).
 * Misses: a victim that exits on another CPU before it is marked. signal->oom_mm, or the kernel stack, identifies the OOM kill
 * then.
 */
SEC("raw_tp/mark_victim")
int on_mark_victim(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *victim = (void *)ctx->args[0], *leader = READ(victim, group_leader);
	struct record *record = scratch(SCRATCH_OOM);
	struct process_key key = key_of(leader);
	struct oom *oom;

	/* The victim already exited on another CPU: its record has the sizes, and an entry made now would leak. */
	if (!record || (has_group_dead() && has_exited(leader)))
		return 0;
	/* Made here and copied as a whole: the victim may exit at any time, and an element that was deleted is another victim's at once. */
	oom = (struct oom *)record->page;
	read_oom(oom, victim, READ(victim, mm), record->directories);
	if (bpf_map_update_elem(&oom_victims, &key, oom, BPF_ANY))
		count_memory_full();
	/* Counts the victim in pending_counts, so that its exit looks into the maps even if there was no room for its SIGKILL. */
	if (!facts_of(SCRATCH_OOM, leader, FACT_COMMITS) || (has_group_dead() && has_exited(leader)))
		drop_facts(key.start_boottime_ns, key.pid);
	return 0;
}

/*
 * exit_mm_release() runs in exit_mm(), in each thread that exits (seen on 5.10, 6.1, 6.12). Hooked only before 6.16, where
 * sched_process_exit comes after exit_mm() and finds no mm, and only where fentry works. It adds executable, arguments and
 * environment to the record; nothing else depends on it. The first thread that exits with the group keeps the snapshot, since the
 * last thread is not known yet.
 * Misses: runs that interrupt another run of this program on the same CPU.
 */
SEC("fentry/exit_mm_release")
int on_exit_mm_release(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct task_struct *leader = READ(task, group_leader);
	struct signal_struct *signal = READ(task, signal);
	struct process_key key;
	bool is_caller;

	/*
	 * During a core dump, the other threads wait after this point with the group's code set, but without SIGNAL_GROUP_EXIT.
	 */
	if (!status_of(signal, leader) && !READ(signal, group_exit_code) && !may_stop_gracefully(task, leader, signal))
		return 0;
	/* If current called exit_group(), overwrite the snapshot: the first exiting thread could not know the caller. */
	is_caller = wants_thread_context && mark_exit_group_caller(task);
	key = key_of(leader);
	if (is_caller || !bpf_map_lookup_elem(&mm_snapshots, &key))
		keep_mm_snapshot(&key);
	return 0;
}

/*
 * sched_process_exit fires in do_exit(), once for each thread; the exit of the last thread is the termination of the process. It
 * is the only hook on all supported kernels that sees every exit while credentials, cgroup and parent are readable. Since 6.16 it
 * fires before exit_mm() and says which thread is the last; before, see on_exit_mm_release() and on_exit().
 * Misses: exits for which the kernel skips the program; they are counted (recursion_misses, see Counters() in the loader).
 */
SEC("raw_tp/sched_process_exit")
int on_sched_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	if (!has_preemptible_tracepoints()) {
		on_exit(ctx, ONLY_PROBE);
		return 0;
	}
	bpf_preempt_disable();
	on_exit(ctx, FIRST_PROBE);
	bpf_preempt_enable();
	return 0;
}

/*
 * The second of three copies of this program, attached only where tracepoint programs are preemptible (seen on 7.2;
 * docs/decisions/0023). There, the kernel skips a program for a thread that exits while another thread is preempted in it on the
 * same CPU. The next copy runs for that exit; for all other exits it does nothing. All copies disable preemption while they work,
 * as they share the per-CPU scratch. The reschedule happens inside bpf_preempt_enable(), while prog->active is still raised.
 * Misses: an exit while three other threads are preempted, one in each copy; it is counted. Two copies were observed not to
 * suffice, as the threads of a process exit together.
 */
SEC("raw_tp/sched_process_exit")
int on_sched_process_exit_again(struct bpf_raw_tracepoint_args *ctx)
{
	bpf_preempt_disable();
	on_exit(ctx, SECOND_PROBE);
	bpf_preempt_enable();
	return 0;
}

/* The third copy: see on_sched_process_exit_again(). */
SEC("raw_tp/sched_process_exit")
int on_sched_process_exit_once_more(struct bpf_raw_tracepoint_args *ctx)
{
	bpf_preempt_disable();
	on_exit(ctx, LAST_PROBE);
	bpf_preempt_enable();
	return 0;
}

/*
 * sched_process_exec fires in exec_binprm(), when the new program and its arguments are in place and the last one cannot return,
 * on all supported kernels: the facts about the last program end here (exec.h), the new one is kept (programs.h), a tool by which people
 * ask others is reported (requests.h), and a restart can be recognised (restart.h), where a script counts as its interpreter.
 * Misses: processes that fork and do not exec; restarts beyond RESTARTS_PER_SECOND_MAX, requests beyond REQUESTS_PER_SECOND_MAX.
 */
SEC("raw_tp/sched_process_exec")
int on_sched_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct record *record = scratch(SCRATCH_RESTART);
	__u64 now_ns;

	forget_last_program();
	on_program((void *)ctx->args[2]);
	if (!restarts_until_ns || !record)
		return 0;
	now_ns = bpf_ktime_get_boot_ns();
	if (now_ns > restarts_until_ns)
		restarts_until_ns = 0;
	else
		on_exec(record, now_ns);
	return 0;
}

/* Not attached: the loader runs it once, before it attaches the others. Where it fails, no file is copied (crash_calibration.h). */
SEC("raw_tp")
int calibrate(struct bpf_raw_tracepoint_args *ctx)
{
	struct calibration known = {.address = ctx->args[0], .fd = ctx->args[1], .mark = ctx->args[2]};

	return captures_crashes() ? calibrate_memory(&known) : 1;
}
