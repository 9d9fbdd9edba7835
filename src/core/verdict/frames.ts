// SPDX-License-Identifier: Apache-2.0
// The kernel functions and system calls that show why a signal was sent. The compiler may inline a frame away: a present frame is
// evidence, a missing one proves nothing. causes.ts draws the conclusions.
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
  'posixtimer_send_sigqueue',
  'send_sigqueue',
]);
/** drivers/tty/tty_jobctrl.c, tty_io.c */
export const HANGUP: Frames = new Set([
  'tty_signal_session_leader',
  '__tty_hangup',
  'disassociate_ctty',
  'tty_vhangup',
  'tty_vhangup_session',
]);
/** kernel/exit.c: SIGHUP to a stopped process group that became orphaned; no terminal hung up. */
export const ORPHANED: Frames = new Set(['kill_orphaned_pgrp']);
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

const SHOWN: readonly Frames[] = [
  OOM,
  NAMESPACE_EXIT,
  PARENT_DEATH,
  CPU_LIMIT,
  TIMER,
  HANGUP,
  TERMINAL,
  CGROUP_KILL,
  PTRACE,
  OTHERS,
];

/**
 * kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal and ptrace (PTRACE_KILL) on x86_64, arm64 and i386. One
 * set suffices: none of these numbers is a call on another of the three in which the kernel raises a signal without siginfo.
 */
export const SENDING_CALLS: ReadonlySet<number> = new Set([
  62, 200, 234, 129, 297, 424, 101, 130, 131, 138, 240, 117, 37, 238, 270, 178, 335, 26,
]);
/** write, pwrite64, writev, pwritev, sendfile, splice on x86_64 and arm64, and write on i386. */
export const WRITING_CALLS: ReadonlySet<number> = new Set([1, 18, 20, 296, 40, 275, 64, 68, 66, 70, 71, 76, 4]);

/** The innermost frame of the signal's stack that is in the set, or null. Compiler suffixes (`.isra.0`) are ignored. */
export function has(signal: Signal | null, set: Frames): string | null {
  if (signal === null) return null;
  for (const frame of signal.kernel_stack) if (set.has(base(frame))) return frame;
  return null;
}

/** The frame to show as evidence: the innermost known one, or null. */
export function shownFrame(signal: Signal): string | null {
  for (const frame of signal.kernel_stack) {
    const name = base(frame);
    if (SHOWN.some((set) => set.has(name))) return frame;
  }
  return null;
}

/** Which memory ran out, by the caller of out_of_memory(): a cgroup reached its limit, or the host has none left. */
export function oomScope(stack: readonly string[]): 'host' | 'cgroup' | 'unknown' {
  const at = stack.findIndex((frame) => base(frame) === 'out_of_memory');
  if (at === -1) return stack.some((frame) => base(frame) === 'mem_cgroup_out_of_memory') ? 'cgroup' : 'unknown';
  // mem_cgroup_out_of_memory may be inlined into its caller, whose name contains memcg (try_charge_memcg).
  const callers = stack.slice(at + 1, at + 3);
  if (callers.length === 0) return 'unknown';
  return callers.some((frame) => frame.includes('mem_cgroup') || frame.includes('memcg')) ? 'cgroup' : 'host';
}

function base(frame: string): string {
  const dot = frame.indexOf('.');
  return dot === -1 ? frame : frame.slice(0, dot);
}
