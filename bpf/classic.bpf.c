// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs for kernels without raw tracepoints, 4.8 to 4.16 (docs/decisions/0123). They see what a tracepoint records: of the process that gets a
 * signal, the number of a thread. So they keep less than those of old.bpf.c, in the same slots: status and users of the process, its ancestors, and the
 * signal that terminated it, with the task that sent it. What 4.8 does not have is not used; beside what old.bpf.c leaves out, LRU maps (4.10) and
 * bpf_probe_read_str() (4.11).
 */
#define OLD_CLASSIC /* for the headers that old.bpf.c has, too */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "classic_facts.h"
#include "event.h"
#include "kernel.h"
#include "old_ended.h"
#include "old_facts.h"
#include "old_maps.h"
#include "old_report.h"
#include "old_signals.h"
#include "old_task.h"
#include "signal_rules.h"
#include "signals.h"
#include "task_fields.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* include/trace/events/signal.h. The loader compares the offsets with those that tracefs shows. */
struct generated {
	__u64 common;
	__s32 sig, errno, code;
	char comm[COMM_BYTES];
	__s32 pid, group, result;
};

struct delivered {
	__u64 common;
	__s32 sig, errno, code, padding;
	unsigned long sa_handler, sa_flags;
};

/*
 * A standard signal that was added is the only pending one of its number: one that came before it has been taken. So the last one is kept, unless the
 * one before it terminates the process.
 */
SEC("tracepoint/signal/signal_generate")
int classic_signal_generate(struct generated *ctx)
{
	__u32 signo = ctx->sig, kind = OLD_SIGNO + signo;
	struct task_struct *current = (void *)bpf_get_current_task();
	struct old_key key = key_of_thread(ctx->pid);
	struct old_fact *earlier, fact = {};
	struct signal_fact *signal = signal_of(&fact);

	if (signo - 1 >= STANDARD_SIGNALS || HAS(HARMLESS, signo) || ctx->result != TRACE_SIGNAL_DELIVERED)
		return 0;
	earlier = fact_of(&key, kind);
	if (earlier && signal_of(earlier)->committed)
		return 0;
	fill_sender(signal, current);
	signal->time_ns = now();
	signal->signo = signo;
	signal->code = code_of(ctx->code);
	signal->siginfo = siginfo_of(signal->code);
	signal->action = ACTION_DEFAULT;
	signal->group = ctx->group != 0;
	signal->target_tid = ctx->pid;
	fill_stack(&fact, ctx);
	read_credentials(&fact.users, current);
	keep_of_thread(&key, kind, &fact);
	return 0;
}

/* A signal is delivered to current: with the default action it terminates the process, with a handler it is over. */
static __always_inline void deliver(struct delivered *ctx, __u32 pid)
{
	__u32 kind = OLD_SIGNO + ctx->sig;
	struct old_key key = key_of_thread(pid);
	__u32 *count = count_of(pid);
	struct old_fact *known;

	if (!count || !*count)
		return;
	known = fact_of(&key, kind);
	if (!known)
		return;
	if (ctx->sa_handler == SIG_DFL && signal_of(known)->code == code_of(ctx->code))
		signal_of(known)->committed = true;
	else
		drop_fact(&key, kind, count);
}

SEC("tracepoint/signal/signal_deliver")
int classic_signal_deliver(struct delivered *ctx)
{
	__u32 signo = ctx->sig;
	__u64 ids = bpf_get_current_pid_tgid();
	__u32 tid = ids, tgid = ids >> 32;

	if (signo - 1 >= STANDARD_SIGNALS || HAS(HARMLESS | BIT(SIGKILL), signo))
		return 0;
	if (HAS(FAULTS & ~BIT(SIGSYS), signo) && ctx->code > 0 && ctx->sa_handler == SIG_DFL)
		keep_fault_of_code(signo, code_of(ctx->code), tgid);
	deliver(ctx, tid);
	if (tgid != tid)
		deliver(ctx, tgid);
	return 0;
}

/*
 * The signal and the fault of the status, unless it came before the process, or a tracer may have sent it. Up to 4.10, a helper does not write to a slot.
 */
static __always_inline void append_cause(struct old_slot *slot, struct task_struct *task, struct task_struct *leader, __u32 signo)
{
	struct old_key process = key_of_thread(READ(leader, pid)), thread = key_of_thread(READ(task, pid));
	__u64 start = start_of(leader);
	struct old_fact *fact;
	struct fault *fault;

	signal_of(&slot->signal)->signo = slot->fault.signo = 0;
	if (!signo)
		return;
	fact = fact_of(&process, OLD_SIGNO + signo);
	if (!fact)
		fact = fact_of(&thread, OLD_SIGNO + signo);
	if (fact && signal_of(fact)->time_ns >= start && (!slot->event.ptrace || signo == SIGKILL)) {
		COPY_WORDS(&slot->signal, fact);
		signal_of(&slot->signal)->committed = true;
	}
	fact = fact_of(&process, OLD_FAULT);
	fault = (struct fault *)fact;
	if (fact && fault->signo == signo && fault->time_ns >= start)
		COPY_WORDS(&slot->fault, fault);
}

static __always_inline void report_status(struct task_struct *task, struct task_struct *leader, struct old_key *key, __u32 status)
{
	struct old_counters *sums = counters();
	struct place place;
	struct old_slot *slot;

	if (!sums || !open_place(&place, task, key, sums))
		return;
	slot = place.slot;
	slot->event.threads = 0;
	fill_event(&slot->event, task, leader, status);
	append_cause(slot, task, leader, status & STATUS_SIGNAL);
	signal_of(&slot->request)->signo = 0;
	slot->handled_fault.signo = 0;
	read_credentials(&slot->credentials, task);
	slot->ancestors.time_ns = slot->event.time_ns;
	read_ancestors(&slot->ancestors, leader);
	slot->program.exe.bytes = slot->program.args[0].bytes = 0;
	slot->signal_program.exe.bytes = slot->signal_program.args[0].bytes = slot->signal_ancestors.count = 0;
	slot->cgroup_bytes = OLD_CGROUP_UNKNOWN;
	close_place(&place, sums);
}

/* A process that was reported is forgotten when OLD_ENDED others have ended on this CPU. */
static __always_inline void forget_seen(struct old_key *key)
{
	struct old_key before = {};

	if (take_ended(key, &before))
		bpf_map_delete_elem(&old_seen, &before);
}

/* As old_sched_process_exit() of old.bpf.c. The task that exits is current. */
SEC("tracepoint/sched/sched_process_exit")
int classic_sched_process_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task(), *leader = READ(task, group_leader);
	struct signal_struct *signal = READ(task, signal);
	struct old_counters *sums = counters();
	struct old_key key;
	__u32 status, zero = 0;

	(void)ctx;
	if (!sums || READ(task, flags) & PF_KTHREAD)
		return 0;
	if (READ(signal, live.counter)) {
		pass_on(task, leader, signal);
		return 0;
	}
	key = key_of(leader, 0);
	if (bpf_map_update_elem(&old_seen, &key, &zero, BPF_NOEXIST))
		return 0;
	forget_seen(&key);
	status = status_of(signal, leader);
	if (status)
		report_status(task, leader, &key, status);
	else
		COUNT(sums->exits_normal);
	drop_facts_of_thread(READ(task, pid));
	drop_facts_of_thread(key.pid);
	return 0;
}
