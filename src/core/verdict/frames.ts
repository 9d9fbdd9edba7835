// SPDX-License-Identifier: Apache-2.0
// The kernel functions that show why a signal was sent. The compiler may inline a frame away: a present frame is evidence, a missing one
// proves nothing. causes.ts draws the conclusions; calls.ts looks for the call of a sender.
import type { Signal } from '../wire/event.ts';

type Frames = ReadonlySet<string>;

/** mm/oom_kill.c, mm/memcontrol.c */
export const OOM: Frames = new Set([
  '__oom_kill_process',
  'oom_kill_process',
  'oom_kill_memcg_member',
  'out_of_memory',
  'mem_cgroup_out_of_memory',
]);
/** mm/oom_kill.c: runs in the task whose allocation failed, or in that of sysrq, which is a kernel thread. */
export const OOM_ALLOCATION: Frames = new Set(['out_of_memory', 'mem_cgroup_out_of_memory']);
/** For memory.oom.group. */
export const OOM_GROUP: Frames = new Set(['oom_kill_memcg_member']);
/** kernel/pid_namespace.c */
export const NAMESPACE_EXIT: Frames = new Set(['zap_pid_ns_processes']);
/** kernel/exit.c. Not exit_notify, into which they may be inlined: it also sends SIGCHLD. */
export const PARENT_DEATH: Frames = new Set(['forget_original_parent', 'reparent_leader']);
/** kernel/time/posix-cpu-timers.c */
export const CPU_LIMIT: Frames = new Set([
  'posix_cpu_timers_work',
  'handle_posix_cpu_timers',
  'check_process_timers',
  'check_thread_timers',
  'run_posix_cpu_timers',
  'check_rlimit',
]);
/** kernel/time/itimer.c, posix-timers.c */
export const TIMER: Frames = new Set([
  'it_real_fn',
  'posix_timer_fn',
  'check_cpu_itimer',
  'cpu_timer_fire',
  'posixtimer_send_sigqueue',
  'send_sigqueue',
]);
/** fs/fcntl.c: a descriptor with O_ASYNC, and with F_SETSIG if the signal has a siginfo. */
export const DESCRIPTOR: Frames = new Set(['send_sigio', 'send_sigio_to_task', 'kill_fasync', 'kill_fasync_rcu']);
/** ipc/mqueue.c. Not do_mq_timedsend, in which an interrupt may come, too. */
export const MESSAGE_QUEUE: Frames = new Set(['__do_notify']);
/** kernel/exit.c, signal.c: the signal that clone(2) chose for the end of a child. */
export const CHILD: Frames = new Set(['do_notify_parent']);
/** drivers/tty/tty_jobctrl.c, tty_io.c */
export const HANGUP: Frames = new Set([
  'tty_signal_session_leader',
  '__tty_hangup',
  'disassociate_ctty',
  'tty_vhangup',
  'tty_vhangup_session',
]);
/** drivers/tty/pty.c, tty_io.c: the last descriptor of the master was closed, or vhangup(2) was called. */
export const TERMINAL_CLOSED: Frames = new Set(['pty_close', 'tty_release', 'tty_vhangup_self', 'ksys_vhangup']);
/** drivers/tty/tty_jobctrl.c: the leader of the session exits. */
export const SESSION_END: Frames = new Set(['disassociate_ctty']);
/** kernel/exit.c: SIGHUP to a stopped process group that became orphaned; no terminal hung up. */
export const ORPHANED: Frames = new Set(['kill_orphaned_pgrp']);
/** kernel/ptrace.c: SIGKILL to what a tracer that terminates had attached with PTRACE_O_EXITKILL, as gdb does. */
export const TRACER_EXIT: Frames = new Set(['exit_ptrace']);
/** kernel/signal.c: the kernel cannot go on with the program. */
export const FORCED: Frames = new Set(['force_fatal_sig']);
/** drivers/tty/n_tty.c */
export const TERMINAL: Frames = new Set(['isig', '__isig', 'n_tty_receive_signal_char']);
/** kernel/cgroup/cgroup.c */
export const CGROUP_KILL: Frames = new Set(['__cgroup_kill', 'cgroup_kill', 'cgroup_kill_write']);
/** kernel/ptrace.c: PTRACE_KILL by the tracer. */
export const PTRACE: Frames = new Set(['ptrace_request', 'arch_ptrace']);
/** Other frames to show as evidence; no cause follows from them. */
const OTHERS: Frames = new Set([
  'exit_ptrace',
  'do_coredump',
  'force_fatal_sig',
  'bpf_send_signal',
  'kill_orphaned_pgrp',
  'pipe_write',
  'anon_pipe_write',
  'sk_stream_error',
]);

/** Where the kernel sends a signal by itself, whatever the task behind it is doing. */
export const SIGNAL_SOURCES: Frames = new Set([
  ...[TIMER, CPU_LIMIT, DESCRIPTOR, MESSAGE_QUEUE, CHILD, PARENT_DEATH, NAMESPACE_EXIT, OOM, HANGUP, TERMINAL].flatMap(
    (set) => [...set],
  ),
  ...['kill_pid_usb_asyncio', 'bpf_send_signal', 'bpf_send_signal_thread', 'perf_sigtrap', 'ptrace_signal', 'do_exit'],
]);

const SHOWN: readonly Frames[] = [
  OOM,
  NAMESPACE_EXIT,
  PARENT_DEATH,
  CPU_LIMIT,
  TIMER,
  DESCRIPTOR,
  MESSAGE_QUEUE,
  HANGUP,
  TERMINAL,
  CGROUP_KILL,
  PTRACE,
  OTHERS,
];

/**
 * Entries of interrupts and their deferred work, on x86-64 and arm64 from 5.10 on (arch/x86/include/asm/idtentry.h,
 * arch/arm64/kernel/entry-common.c, kernel/softirq.c, kernel/irq_work.c), and task work, which runs when a call has returned.
 */
const INTERRUPT = new RegExp(
  [
    '^(?:asm_|__)?sysvec_',
    '^(?:asm_)?common_interrupt$',
    '^(?:asm_)?exc_nmi',
    '^asm_call_(?:irq|sysvec)_on_stack$',
    '^_*(?:el0|el1)[ht]?_(?:64_|32_)?(?:irq|fiq|interrupt)',
    '^(?:call_on_irq_stack|do_interrupt_handler|gic_handle_irq|handle_IPI|(?:generic_)?handle_domain_irq|__handle_domain_irq)$',
    '^(?:_*do_softirq(?:_own_stack)?|handle_softirqs|__softirqentry_text_start|_*irq_exit(?:_rcu)?|run_ksoftirqd)$',
    '^(?:hrtimer_interrupt|__hrtimer_run_queues|hrtimer_run_softirq|run_timer_softirq|tick_\\w+)$',
    '^(?:irq_work_run(?:_list)?|irq_work_single|task_work_run)$',
    '^(?:xen_evtchn_do_upcall|xen_pv_evtchn_do_upcall)$',
  ].join('|'),
);

/** The entry of a system call (arch/x86/entry, arch/arm64/kernel/syscall.c). The call's own function may be missing: it ends in a jump. */
const SYSCALL_ENTRY =
  /^(?:do_syscall_64|x64_sys_call|ia32_sys_call|do_int80_\w+|_*do_fast_syscall_32|el0_svc\w*|invoke_syscall)$/;

/** Whether the task that ran sent the signal within a system call of its own, and no interrupt did. */
export function isInOwnCall({ kernel_stack }: Signal): boolean {
  const own = untilInterrupt(kernel_stack);
  return own.length === kernel_stack.length && own.some((frame) => SYSCALL_ENTRY.test(withoutSuffix(frame)));
}

/** The frames of what sent the signal. Those of what an interrupt came upon are left out: they have nothing to do with it. */
export function untilInterrupt(stack: readonly string[]): readonly string[] {
  const at = stack.findIndex((frame) => INTERRUPT.test(withoutSuffix(frame)));
  return at === -1 ? stack : stack.slice(0, at);
}

/** The innermost frame of what sent the signal that is in the set, or null. */
export function has(signal: Signal | null, set: Frames): string | null {
  if (signal === null) return null;
  for (const frame of untilInterrupt(signal.kernel_stack)) if (set.has(withoutSuffix(frame))) return frame;
  return null;
}

/** The frame to show as evidence: the innermost known one, or null. */
export function shownFrame(signal: Signal): string | null {
  for (const frame of untilInterrupt(signal.kernel_stack)) {
    const name = withoutSuffix(frame);
    if (SHOWN.some((set) => set.has(name))) return frame;
  }
  return null;
}

/** Which memory ran out, by the caller of out_of_memory(): a cgroup reached its limit, or the host has none left. */
export function oomScope(stack: readonly string[]): 'host' | 'cgroup' | 'unknown' {
  const at = stack.findIndex((frame) => withoutSuffix(frame) === 'out_of_memory');
  if (at === -1)
    return stack.some((frame) => withoutSuffix(frame) === 'mem_cgroup_out_of_memory') ? 'cgroup' : 'unknown';
  // mem_cgroup_out_of_memory may be inlined into its caller, whose name contains memcg (try_charge_memcg).
  const callers = stack.slice(at + 1, at + 3);
  if (callers.length === 0) return 'unknown';
  return callers.some((frame) => frame.includes('mem_cgroup') || frame.includes('memcg')) ? 'cgroup' : 'host';
}

/** Without what the compiler adds: `.isra.0`, `.part.0`. */
export function withoutSuffix(frame: string): string {
  const dot = frame.indexOf('.');
  return dot === -1 ? frame : frame.slice(0, dot);
}
