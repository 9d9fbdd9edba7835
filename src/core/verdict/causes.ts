// SPDX-License-Identifier: Apache-2.0
// The rules that decide the cause of a termination by a signal, as one ordered table. Based on docs/kernel-facts.md section 3 and
// kernel/signal.c. Two principles: a task is named as the sender only if it made the call; `unknown` is better than a wrong name.
import { abortEvidence, codeLabel, faultEvidence, whileRunning } from './evidence.ts';
import type { Facts } from './facts.ts';
import * as frames from './frames.ts';
import { kernelEvidence } from './kernel-reason.ts';
import { callEvidence, callPrefix, taskLabel } from './labels.ts';
import { notificationOf } from './notification.ts';
import { isOomKill } from './oom.ts';
import { isRaisedInOwnCall, RERAISE_NS } from './origin.ts';
import {
  FAULTS,
  SI_KERNEL,
  SI_TIMER,
  SIGABRT,
  SIGALRM,
  SIGHUP,
  SIGINT,
  SIGKILL,
  SIGPIPE,
  SIGPROF,
  SIGQUIT,
  SIGSYS,
  SIGVTALRM,
  SIGXCPU,
  SIGXFSZ,
  SYS_SECCOMP,
  signalName,
} from './signals.ts';
import type { Cause, SenderKind } from './verdict.ts';

export interface CauseRule {
  readonly name: string;
  readonly cause: Cause;
  readonly when: (facts: Facts) => boolean;
  /** Overrides the origin that follows from the signal alone. */
  readonly sender?: SenderKind;
  readonly evidence: (facts: Facts) => readonly string[];
}

const TIMER_SIGNALS: ReadonlySet<number> = new Set([SIGALRM, SIGVTALRM, SIGPROF]);

/** `task->seccomp.mode` of a task that seccomp killed (kernel/seccomp.c). */
const SECCOMP_MODE_DEAD = 3;

/** The first rule that holds decides. The last one always holds. */
const RULES: readonly CauseRule[] = [
  {
    // 5.16+: a kill by a filter is a SIGSYS with SYS_SECCOMP. Before, and in strict mode, only the dead mode of the task shows it.
    name: 'a seccomp filter or strict mode killed it',
    cause: 'seccomp',
    when: ({ death, signo, signal, fault, origin }) =>
      (signo === SIGSYS && (death.seccomp_mode === SECCOMP_MODE_DEAD || fault?.code === SYS_SECCOMP)) ||
      (signo === SIGSYS && signal !== null && signal.code === SYS_SECCOMP && origin !== 'self') ||
      (signo === SIGKILL && death.seccomp_mode === SECCOMP_MODE_DEAD && (signal === null || !signal.committed)),
    sender: 'kernel',
    evidence: ({ death }) =>
      death.seccomp_mode === SECCOMP_MODE_DEAD
        ? ['seccomp mode of its last thread is 3 (dead)']
        : ['SIGSYS with SYS_SECCOMP'],
  },
  {
    name: 'the out-of-memory killer killed it',
    cause: 'oom_kill',
    when: ({ death, signo, signal }) => signo === SIGKILL && isOomKill(death, signal),
    sender: 'kernel',
    evidence: ({ death }) => [
      death.oom_victim
        ? 'it was marked as a victim of the out-of-memory killer'
        : 'the out-of-memory killer sent SIGKILL; no mark as its victim was seen when the process terminated',
    ],
  },
  {
    // A fault has a positive code; #GP has SI_KERNEL and a trap number. A SIGSEGV by kill(2) has a code <= 0.
    name: 'the processor raised a fault',
    cause: 'fault',
    when: ({ fault }) => fault !== null,
    sender: 'kernel',
    evidence: ({ fault }) => faultEvidence(fault, 'delivered with the default action'),
  },
  {
    // The delivery was not recorded, but the signal was generated with a code that only a fault has.
    name: 'the processor raised a fault, recorded only when the signal was generated',
    cause: 'fault',
    when: ({ signo, signal, origin }) =>
      FAULTS.has(signo) &&
      origin !== 'self' &&
      signal?.info === 'siginfo' &&
      signal.code > 0 &&
      signal.code < SI_KERNEL &&
      notificationOf(signal) === null,
    sender: 'kernel',
    evidence: ({ signal }) => [`generated with ${codeLabel(signal)}`],
  },
  {
    // force_sigsegv() in kernel/signal.c: the frame of the handler could not be written, often after a stack overflow.
    name: 'the fault had a handler, but the kernel could not run it',
    cause: 'fault',
    when: ({ forced }) => forced,
    sender: 'kernel',
    evidence: ({ death }) => [
      ...faultEvidence(death.handled_fault, 'had a handler'),
      'the kernel could not run the handler, and forced the default action',
    ],
  },
  {
    name: 'its handler raised the signal of the fault again',
    cause: 'fault',
    when: ({ death, signo, signal, origin }) => {
      const handled = death.handled_fault;
      if (handled === null || handled.signo !== signo || signal === null || origin !== 'self' || !FAULTS.has(signo))
        return false;
      return signal.time_ns - handled.time_ns <= RERAISE_NS;
    },
    sender: 'self',
    evidence: ({ death }) => [
      ...faultEvidence(death.handled_fault, 'delivered to a handler'),
      'the same signal was then raised by the process itself',
    ],
  },
  {
    name: 'the init of its pid namespace terminated',
    cause: 'namespace_exit',
    when: ({ signo, signal }) => signo === SIGKILL && frames.has(signal, frames.NAMESPACE_EXIT) !== null,
    sender: 'kernel',
    evidence: ({ signal }) => [whileRunning(signal, 'the init of its pid namespace, which was exiting')],
  },
  {
    // reboot_pid_ns() kills the init, and zap_pid_ns_processes() replaces its status (kernel/pid_namespace.c). No other SIGINT or SIGHUP
    // without a handler terminates an init (SIGNAL_UNKILLABLE).
    name: 'its pid namespace was turned off',
    cause: 'namespace_exit',
    when: ({ death, signo }) => (signo === SIGINT || signo === SIGHUP) && death.process.vpid === 1,
    sender: 'kernel',
    evidence: ({ signo }) => [
      `the init of a pid namespace has the status ${signalName(signo)} after reboot(2) in the namespace`,
    ],
  },
  {
    // Sent as SEND_SIG_NOINFO by the exiting parent: forget_original_parent() in kernel/exit.c.
    name: 'its parent terminated, and it had set PR_SET_PDEATHSIG',
    cause: 'parent_death',
    when: ({ death, signo, signal }) =>
      signal?.info === 'noinfo' &&
      ((death.pdeath_signal === signo && signal.sender.exiting) || frames.has(signal, frames.PARENT_DEATH) !== null),
    sender: 'kernel',
    evidence: ({ death, signal }) => [
      `PR_SET_PDEATHSIG was ${signalName(death.pdeath_signal)}`,
      whileRunning(
        signal,
        signal?.sender.process_lives
          ? 'the thread of its parent that had started it ended; the parent process lives'
          : 'its parent, which was exiting',
      ),
    ],
  },
  {
    name: 'it reached its CPU time limit',
    cause: 'resource_limit',
    when: ({ signo, signal }) =>
      signal?.info === 'kernel' &&
      (signo === SIGXCPU || (signo === SIGKILL && frames.has(signal, frames.CPU_LIMIT) !== null)),
    sender: 'kernel',
    evidence: ({ signo }) => [`${signalName(signo)} from the kernel's check of RLIMIT_CPU or RLIMIT_RTTIME`],
  },
  {
    // send_sig(SIGXFSZ, current, 0): it looks like a signal to itself (fs/read_write.c, generic_write_check_limits).
    name: 'a write exceeded the file size limit',
    cause: 'resource_limit',
    when: ({ death, signo, signal }) => signo === SIGXFSZ && isRaisedInOwnCall(signal, death),
    sender: 'kernel',
    evidence: ({ signal }) => [
      'SIGXFSZ without siginfo, raised in its own write beyond RLIMIT_FSIZE',
      ...callEvidence(signal),
    ],
  },
  {
    name: 'it wrote to a pipe or socket without a reader',
    cause: 'broken_pipe',
    when: ({ death, signo, signal }) => signo === SIGPIPE && isRaisedInOwnCall(signal, death),
    sender: 'kernel',
    evidence: ({ signal }) => ['SIGPIPE without siginfo, raised in its own write', ...callEvidence(signal)],
  },
  {
    // Alarms and interval timers have no siginfo of their own; with one, SIGALRM may be a notification (F_SETSIG).
    name: 'a timer expired',
    cause: 'timer',
    when: ({ signo, signal, origin }) =>
      signal !== null &&
      origin === 'kernel' &&
      (signal.code === SI_TIMER ||
        (signal.info === 'kernel' && TIMER_SIGNALS.has(signo)) ||
        frames.has(signal, frames.TIMER) !== null),
    sender: 'kernel',
    evidence: ({ signal }) => [
      signal?.code === SI_TIMER ? 'a POSIX timer (SI_TIMER)' : 'an alarm or interval timer',
      whileRunning(signal, 'interrupted by the timer, not the sender'),
    ],
  },
  {
    name: 'its terminal closed',
    cause: 'hangup',
    when: ({ signo, signal }) =>
      signo === SIGHUP &&
      frames.has(signal, frames.ORPHANED) === null &&
      (signal?.info === 'kernel' || frames.has(signal, frames.HANGUP) !== null),
    sender: 'kernel',
    evidence: () => ['SIGHUP from the kernel, which hung up its terminal'],
  },
  {
    name: 'a key was typed at its terminal',
    cause: 'terminal',
    when: ({ signo, signal }) =>
      signal?.info === 'kernel' &&
      (signo === SIGINT || signo === SIGQUIT || frames.has(signal, frames.TERMINAL) !== null),
    sender: 'kernel',
    evidence: ({ signo }) => [`${signalName(signo)} from the kernel's terminal layer`],
  },
  {
    name: 'it aborted',
    cause: 'abort',
    when: ({ signo, origin }) => signo === SIGABRT && origin === 'self',
    evidence: ({ signal }) => [`SIGABRT sent by one of its own threads, ${codeLabel(signal)}`],
  },
  {
    name: 'its handler of a signal of another process aborted',
    cause: 'abort',
    when: ({ signo, signal, raisedAgain }) => raisedAgain && signo === SIGABRT && signal?.signo !== SIGABRT,
    evidence: abortEvidence,
  },
  {
    name: 'it sent the signal to itself',
    cause: 'self_signal',
    when: ({ origin }) => origin === 'self',
    evidence: ({ signal }) => [`the sender is the process itself, ${codeLabel(signal)}`],
  },
  {
    name: 'another process wrote to its cgroup.kill',
    cause: 'killed',
    when: ({ signal, origin }) => origin === 'process' && frames.has(signal, frames.CGROUP_KILL) !== null,
    evidence: ({ signal }) => [whileRunning(signal, 'it wrote to cgroup.kill')],
  },
  {
    name: 'another process sent the signal',
    cause: 'killed',
    when: ({ origin }) => origin === 'process',
    evidence: ({ signal }) => [`sent ${callPrefix(signal)}by ${taskLabel(signal)}, ${codeLabel(signal)}`],
  },
  {
    name: 'the kernel sent it for another reason',
    cause: 'kernel',
    when: ({ origin }) => origin === 'kernel',
    evidence: kernelEvidence,
  },
  {
    // Without a recorded signal, the number suffices only if the cause names no sender. In practice, only a write raises SIGPIPE.
    name: 'only the signal number is known: broken pipe',
    cause: 'broken_pipe',
    when: ({ signo, signal }) => signal === null && signo === SIGPIPE,
    evidence: () => ['no signal was recorded; SIGPIPE comes from a write'],
  },
  {
    // Before 5.16, a kill by a filter sends no signal, and only the killed thread has the dead mode; it may not be the last one to exit
    // (kernel/seccomp.c).
    name: 'only the signal number is known: seccomp',
    cause: 'seccomp',
    when: ({ death, signo, signal }) => signo === SIGSYS && signal === null && death.signal === null,
    evidence: () => ['SIGSYS, but no signal was sent: a seccomp filter before Linux 5.16'],
  },
  {
    name: 'only the signal number is known: resource limit',
    cause: 'resource_limit',
    when: ({ signo, signal }) => signal === null && (signo === SIGXCPU || signo === SIGXFSZ),
    evidence: ({ signo }) => [`no signal was recorded; ${signalName(signo)} comes from a limit`],
  },
  {
    name: 'the cause is not known',
    cause: 'unknown',
    when: () => true,
    evidence: ({ signal }) =>
      signal === null
        ? ['no signal was recorded']
        : [
            `not enough is known about the signal, ${codeLabel(signal)}`,
            whileRunning(signal, 'not necessarily the sender'),
          ],
  },
];

/** The first rule that holds. */
export function causeOf(facts: Facts): CauseRule {
  return RULES.find((rule) => rule.when(facts)) as CauseRule;
}
