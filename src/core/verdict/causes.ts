// SPDX-License-Identifier: Apache-2.0
// The rules that decide the cause of a termination by a signal, as one ordered table. They rest on docs/kernel-facts.md section 3 and
// on kernel/signal.c. Two principles: a task is named as the sender only if it made the call; and `unknown` rather than a wrong name.
import { code, faultEvidence, fromCall, inCall, ran, who } from './evidence.ts';
import { FAULTS, type Facts } from './facts.ts';
import * as frames from './frames.ts';
import { isDisguised, RERAISE_NS } from './origin.ts';
import {
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

/** `task->seccomp.mode` of a task that seccomp has killed (kernel/seccomp.c). */
const SECCOMP_MODE_DEAD = 3;

/** In order; the first that holds decides. The last one always holds. */
const RULES: readonly CauseRule[] = [
  {
    // A filter's kill shows SIGSYS with SYS_SECCOMP (5.16+); before, and in strict mode, only the task's dead mode shows it.
    name: 'a seccomp filter or strict mode killed it',
    cause: 'seccomp',
    when: ({ death, signo, signal, fault }) =>
      (signo === SIGSYS && (death.seccomp_mode === SECCOMP_MODE_DEAD || fault?.code === SYS_SECCOMP)) ||
      (signo === SIGSYS && signal !== null && signal.code === SYS_SECCOMP) ||
      (signo === SIGKILL && death.seccomp_mode === SECCOMP_MODE_DEAD && (signal === null || !signal.committed)),
    sender: 'kernel',
    evidence: ({ death }) =>
      death.seccomp_mode === SECCOMP_MODE_DEAD
        ? ['seccomp mode of its last thread is 3 (dead)']
        : ['SIGSYS with SYS_SECCOMP'],
  },
  {
    // mark_victim comes after the signal was generated, so the victim's own oom_mm at exit is what counts. A task that shares
    // the victim's memory has none, nor has a victim that exits on another CPU before it is marked; but the SIGKILL of both
    // comes from __oom_kill_process (mm/oom_kill.c).
    name: 'the out-of-memory killer chose it',
    cause: 'oom_kill',
    when: ({ death, signo, signal, origin }) =>
      signo === SIGKILL &&
      (signal === null
        ? death.oom_victim
        : origin === 'kernel' && (death.oom_victim || frames.has(signal, frames.OOM) !== null)),
    sender: 'kernel',
    evidence: ({ death }) => [
      death.oom_victim
        ? 'it was marked as a victim of the out-of-memory killer'
        : 'the out-of-memory killer sent SIGKILL; the process was not marked as a victim when it terminated',
    ],
  },
  {
    // The code of a real fault is positive; #GP is SI_KERNEL with a trap number. A SIGSEGV by kill(2) has code <= 0.
    name: 'the processor raised a fault',
    cause: 'fault',
    when: ({ fault }) => fault !== null,
    sender: 'kernel',
    evidence: ({ fault }) => faultEvidence(fault, 'delivered with the default action'),
  },
  {
    // The delivery was not seen, but the signal was generated with a code that only a fault has.
    name: 'the processor raised a fault, seen where it was generated',
    cause: 'fault',
    when: ({ signo, signal }) =>
      FAULTS.has(signo) && signal?.info === 'siginfo' && signal.code > 0 && signal.code < SI_KERNEL,
    sender: 'kernel',
    evidence: ({ signal }) => [`generated with ${code(signal)}`],
  },
  {
    // force_sigsegv() in kernel/signal.c: the frame of the handler could not be written, often because the stack had overflowed.
    name: 'the fault had a handler, which could not be run',
    cause: 'fault',
    when: ({ forced }) => forced,
    sender: 'kernel',
    evidence: ({ death }) => [
      ...faultEvidence(death.handled_fault, 'had a handler'),
      'the kernel could not run the handler, and forced the default action',
    ],
  },
  {
    name: 'its own handler raised the fault once more',
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
    evidence: ({ signal }) => [ran(signal, 'the init of its pid namespace, which was exiting')],
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
      ran(signal, 'its parent, which was exiting'),
    ],
  },
  {
    name: 'a limit of processor time was reached',
    cause: 'resource_limit',
    when: ({ signo, signal, origin }) =>
      origin === 'kernel' &&
      (signo === SIGXCPU || (signo === SIGKILL && frames.has(signal, frames.CPU_LIMIT) !== null)),
    sender: 'kernel',
    evidence: ({ signo }) => [`${signalName(signo)} from the kernel's check of RLIMIT_CPU or RLIMIT_RTTIME`],
  },
  {
    // send_sig(SIGXFSZ, current, 0): it looks like a signal to itself (fs/read_write.c, generic_write_check_limits).
    name: 'a file would have grown beyond its limit',
    cause: 'resource_limit',
    when: ({ death, signo, signal }) => signo === SIGXFSZ && isDisguised(signal, death),
    sender: 'kernel',
    evidence: ({ signal, auditArch }) => [
      'SIGXFSZ without siginfo, raised in its own write beyond RLIMIT_FSIZE',
      ...inCall(signal, auditArch),
    ],
  },
  {
    name: 'it wrote to a pipe or socket without a reader',
    cause: 'broken_pipe',
    when: ({ death, signo, signal }) => signo === SIGPIPE && isDisguised(signal, death),
    sender: 'kernel',
    evidence: ({ signal, auditArch }) => [
      'SIGPIPE without siginfo, raised in its own write',
      ...inCall(signal, auditArch),
    ],
  },
  {
    name: 'a timer ran out',
    cause: 'timer',
    when: ({ signo, signal, origin }) =>
      signal !== null &&
      origin === 'kernel' &&
      (signal.code === SI_TIMER || TIMER_SIGNALS.has(signo) || frames.has(signal, frames.TIMER) !== null),
    sender: 'kernel',
    evidence: ({ signal }) => [
      signal?.code === SI_TIMER ? 'a POSIX timer (SI_TIMER)' : 'an alarm or interval timer',
      ran(signal, 'interrupted by the timer, not the sender'),
    ],
  },
  {
    name: 'its terminal closed',
    cause: 'hangup',
    when: ({ signo, signal, origin }) =>
      signo === SIGHUP &&
      frames.has(signal, frames.ORPHANED) === null &&
      (origin === 'kernel' || frames.has(signal, frames.HANGUP) !== null),
    sender: 'kernel',
    evidence: () => ['SIGHUP from the kernel, which hung up its terminal'],
  },
  {
    name: 'a key was typed at its terminal',
    cause: 'terminal',
    when: ({ signo, signal, origin }) =>
      origin === 'kernel' && (signo === SIGINT || signo === SIGQUIT || frames.has(signal, frames.TERMINAL) !== null),
    sender: 'kernel',
    evidence: ({ signo }) => [`${signalName(signo)} from the kernel's terminal layer`],
  },
  {
    name: 'it aborted',
    cause: 'abort',
    when: ({ signo, origin }) => signo === SIGABRT && origin === 'self',
    evidence: ({ signal }) => [`SIGABRT sent by one of its own threads, ${code(signal)}`],
  },
  {
    name: 'it sent the signal to itself',
    cause: 'self_signal',
    when: ({ origin }) => origin === 'self',
    evidence: ({ signal }) => [`the sender is the process itself, ${code(signal)}`],
  },
  {
    name: 'another process wrote to its cgroup.kill',
    cause: 'killed',
    when: ({ signal, origin }) => origin === 'process' && frames.has(signal, frames.CGROUP_KILL) !== null,
    evidence: ({ signal }) => [ran(signal, 'it wrote to cgroup.kill')],
  },
  {
    name: 'another process sent the signal',
    cause: 'killed',
    when: ({ origin }) => origin === 'process',
    evidence: ({ signal, auditArch }) => [`sent ${fromCall(signal, auditArch)}by ${who(signal)}, ${code(signal)}`],
  },
  {
    name: 'the kernel sent it for another reason',
    cause: 'kernel',
    when: ({ origin }) => origin === 'kernel',
    evidence: ({ signo, signal, death }) => [
      `${signalName(signo)} from the kernel, ${code(signal)}`,
      ...(signo === SIGKILL && !death.oom_victim ? ['it was not marked as an out-of-memory victim'] : []),
      ran(signal, 'not necessarily the sender'),
    ],
  },
  {
    // Only a write raises SIGPIPE in practice, and the cause names no sender. Other signals need more than their number.
    name: 'by the number alone: broken pipe',
    cause: 'broken_pipe',
    when: ({ signo, signal }) => signal === null && signo === SIGPIPE,
    evidence: () => ['no signal was recorded; SIGPIPE comes from a write'],
  },
  {
    // Before 5.16 a filter's kill sends nothing; the dead mode is that of one thread, which need not be the last (kernel/seccomp.c).
    name: 'by the number alone: seccomp',
    cause: 'seccomp',
    when: ({ death, signo, signal }) => signo === SIGSYS && signal === null && death.signal === null,
    evidence: () => ['SIGSYS, but no signal was sent: a seccomp filter before Linux 5.16'],
  },
  {
    name: 'by the number alone: a limit',
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
        : [`not enough is known of the signal, ${code(signal)}`, ran(signal, 'not necessarily the sender')],
  },
];

/** The first rule that holds. */
export function causeOf(facts: Facts): CauseRule {
  return RULES.find((rule) => rule.when(facts)) as CauseRule;
}
