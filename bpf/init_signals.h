/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Signals by which the init of a machine or container is asked to turn it off, to restart it, or to stop its services: SIGRTMIN+3 for systemd. An
 * init reads them from a signalfd, acts for seconds and then executes another program, so that they are no facts about its termination. Each is
 * reported at once, as a request (requests.h) of the process that sent it (docs/decisions/0122).
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "paths.h"
#include "program_maps.h"
#include "requests.h"
#include "scratch.h"
#include "siginfo.h"
#include "signals.h"
#include "task.h"

#define SIGNAL_UNKILLABLE 0x00000040 /* include/linux/sched/signal.h: of an init */
#define SIGPWR 30
#define SIGRTMIN 34 /* glibc's; it reserves 32 and 33 */

/* As systemd(1) has them: rescue, emergency, halt, poweroff, reboot, kexec, soft-reboot; and from 13 on at once, without stopping services. */
#define ASKS_INIT                                                                                                                \
	(BIT(SIGINT) | BIT(SIGPWR) | BIT(SIGRTMIN + 1) | BIT(SIGRTMIN + 2) | BIT(SIGRTMIN + 3) | BIT(SIGRTMIN + 4) |             \
	 BIT(SIGRTMIN + 5) | BIT(SIGRTMIN + 6) | BIT(SIGRTMIN + 7) | BIT(SIGRTMIN + 13) | BIT(SIGRTMIN + 14) |                   \
	 BIT(SIGRTMIN + 15) | BIT(SIGRTMIN + 16) | BIT(SIGRTMIN + 17))

/* Appends what was asked for: PART_TOOL without a name, and PART_INIT_SIGNAL. */
static __always_inline __u64 append_init_signal(struct record *record, __u64 at, const struct init_signal *signal)
{
	struct executed_tool *tool = (void *)part_at(record, at);

	if (!tool)
		return at;
	__builtin_memset(tool, 0, sizeof(*tool));
	tool->owner = UID_UNSET;
	at = end_part(record, at, PART_TOOL, sizeof(*tool));
	return append(record, at, PART_INIT_SIGNAL, signal, sizeof(*signal));
}

/* current sent signo to the init with this key. Returns 0. */
__u64 report_init_signal(__u32 signo, __u64 start_boottime_ns, __u32 pid)
{
	struct init_signal signal = {.init = {.start_boottime_ns = start_boottime_ns, .pid = pid}, .signo = signo};
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(SCRATCH_SIGNAL);
	__u64 at;

	if (!record || !begin_request(SCRATCH_SIGNAL, record, task, EVENT_FLAG_REQUEST))
		return 0;
	if (too_many_requests(&record->event)) {
		refuse_request();
		return 0;
	}
	at = append_requester(SCRATCH_SIGNAL, append_init_signal(record, 0, &signal));
	submit_request(SCRATCH_SIGNAL, record, at);
	return 0;
}

/* Whether current made a call that sent the signal: the kernel's timers may find any task. */
static __always_inline bool is_sent_by_call(struct task_struct *current, unsigned long siginfo)
{
	__s32 code = read_siginfo(siginfo).code;

	return code <= 0 && code != SI_TIMER && !(READ(current, flags) & (PF_EXITING | PF_KTHREAD));
}

/*
 * A signal of ASKS_INIT was generated, with its default action. Other processes than an init, and an init that ignores it, are left out here.
 * Returns 0.
 */
static __noinline __u64 on_init_signal(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *victim = (void *)ctx->args[2], *current = (void *)bpf_get_current_task(), *leader;
	struct signal_struct *signal = READ(victim, signal);
	struct process_key key;

	if (!(READ(signal, flags) & SIGNAL_UNKILLABLE) || ctx->args[4] || signal == READ(current, signal))
		return 0;
	leader = READ(victim, group_leader);
	if (!is_sent_by_call(current, ctx->args[1]) || (scope_id && !in_scope(leader)))
		return 0;
	key = key_of(leader);
	return report_init_signal(ctx->args[0], key.start_boottime_ns, key.pid);
}
