// SPDX-License-Identifier: Apache-2.0
// From the facts of one death to an opinion: its cause, and who is behind it. One ordered table; the first rule that holds
// decides. It rests on docs/kernel-facts.md section 3 and on kernel/signal.c. Words for people are left to sentence.ts.
// Two principles: a task is named as the sender only if it made the call; and `unknown` before we blame the innocent.

import type { Death, Fault, Signal } from '../wire/event.ts';
import { code, faultEvidence, fromCall, inCall, otherEvidence, ran, stackEvidence, who } from './evidence.ts';
import * as frames from './frames.ts';
import { isDisguised, isRaisedAgain, isVictim, kindOf, originOf, RERAISE_NS, wasHandled } from './origin.ts';
import {
  decodeStatus,
  RESULT_IGNORED,
  SI_KERNEL,
  SI_TIMER,
  SIGABRT,
  SIGALRM,
  SIGBUS,
  SIGFPE,
  SIGHUP,
  SIGILL,
  SIGINT,
  SIGKILL,
  SIGPIPE,
  SIGPROF,
  SIGQUIT,
  SIGSEGV,
  SIGSYS,
  SIGTRAP,
  SIGVTALRM,
  SIGXCPU,
  SIGXFSZ,
  SYS_SECCOMP,
  signalName,
} from './signals.ts';
import type { Cause, OomScope, SenderKind, Verdict } from './verdict.ts';

/** How soon after a fault that had a handler the kernel forces its default action: get_signal() and setup_rt_frame() are one path. */
const FORCED_NS = 100_000_000n;

/** What the rules see: the fatal signal's number, the remembered signal if it can be the fatal one, and shorthands. */
interface Facts {
  readonly death: Death;
  readonly signo: number;
  readonly signal: Signal | null;
  readonly origin: SenderKind;
  readonly auditArch: number | null;
}

interface Rule {
  readonly name: string;
  readonly cause: Cause;
  readonly when: (facts: Facts) => boolean;
  /** Overrides the sender that the signal alone would tell. */
  readonly sender?: SenderKind;
  readonly evidence: (facts: Facts) => readonly string[];
}

const FAULTS: ReadonlySet<number> = new Set([SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP]);
const TIMER_SIGNALS: ReadonlySet<number> = new Set([SIGALRM, SIGVTALRM, SIGPROF]);

/** In order; the first that holds decides. The last one always holds. */
const RULES: readonly Rule[] = [
  {
    // A filter's kill shows SIGSYS with SYS_SECCOMP (5.16+); before, and in strict mode, only the dead mode of the task tells.
    name: 'a seccomp filter or strict mode killed it',
    cause: 'seccomp',
    when: ({ death, signo, signal }) =>
      (signo === SIGSYS && (death.seccomp_mode === SECCOMP_MODE_DEAD || faultOf(death, signo)?.code === SYS_SECCOMP)) ||
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
    // the victim's memory has none, nor has a victim that ends on another processor before it is marked; but the SIGKILL of
    // both comes from __oom_kill_process (mm/oom_kill.c).
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
        : 'the out-of-memory killer sent it SIGKILL; it was not marked as the victim when it ended',
    ],
  },
  {
    // The code of a real fault is positive; #GP is SI_KERNEL with a trap number. A SIGSEGV by kill(2) has code <= 0.
    name: 'the processor raised a fault',
    cause: 'fault',
    when: ({ death, signo }) => faultOf(death, signo) !== null,
    sender: 'kernel',
    evidence: ({ death, signo }) => faultEvidence(faultOf(death, signo), 'delivered with the default action'),
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
    when: ({ death, signo }) => signo === SIGSEGV && isForced(death),
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
    name: 'the init of its pid namespace died',
    cause: 'namespace_exit',
    when: ({ signo, signal }) => signo === SIGKILL && frames.has(signal, frames.NAMESPACE_EXIT) !== null,
    sender: 'kernel',
    evidence: ({ signal }) => [ran(signal, 'the init of its pid namespace, which was dying')],
  },
  {
    // Sent as SEND_SIG_NOINFO by the dying parent: forget_original_parent() in kernel/exit.c.
    name: 'its parent died and it had asked to follow',
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
    name: 'it wrote into a pipe or socket that nobody reads',
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
      ran(signal, 'an innocent task, interrupted by the timer'),
    ],
  },
  {
    name: 'its terminal went away',
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
    name: 'somebody wrote to its cgroup.kill',
    cause: 'killed',
    when: ({ signal, origin }) => origin === 'process' && frames.has(signal, frames.CGROUP_KILL) !== null,
    evidence: ({ signal }) => [ran(signal, 'the one that wrote to cgroup.kill')],
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
      ran(signal, 'not necessarily the cause'),
    ],
  },
  {
    // Nothing but a write raises SIGPIPE in practice; nobody is blamed by saying so. Others need a witness.
    name: 'the number alone tells: broken pipe',
    cause: 'broken_pipe',
    when: ({ signo, signal }) => signal === null && signo === SIGPIPE,
    evidence: () => ['no sender was remembered; SIGPIPE comes from a write'],
  },
  {
    // Before 5.16 a filter's kill sends nothing; the dead mode is that of one thread, which need not be the last (kernel/seccomp.c).
    name: 'the number alone tells: seccomp',
    cause: 'seccomp',
    when: ({ death, signo, signal }) => signo === SIGSYS && signal === null && death.signal === null,
    evidence: () => ['SIGSYS, and no signal was seen being sent: so a seccomp filter kills before Linux 5.16'],
  },
  {
    name: 'the number alone tells: a limit',
    cause: 'resource_limit',
    when: ({ signo, signal }) => signal === null && (signo === SIGXCPU || signo === SIGXFSZ),
    evidence: ({ signo }) => [`no sender was remembered; ${signalName(signo)} comes from a limit`],
  },
  {
    name: 'nobody knows',
    cause: 'unknown',
    when: () => true,
    evidence: ({ signal }) =>
      signal === null
        ? ['no sender was remembered']
        : [`not enough is known of the signal, ${code(signal)}`, ran(signal, 'perhaps innocent')],
  },
];

/** `task->seccomp.mode` of a task that seccomp has killed (kernel/seccomp.c). */
const SECCOMP_MODE_DEAD = 3;

/** The verdict on a death. `auditArch` names system calls in the evidence; null: they stay numbers. Pure; never throws. */
export function classify(death: Death, auditArch: number | null = null): Verdict {
  const status = decodeStatus(death.status_raw);
  if (status.signal === 0) return exited(death, status.exitCode);
  const signo = status.signal;
  // An ignored signal that did not commit ended nothing (prepare_signal in kernel/signal.c).
  const remembered = death.signal !== null && death.signal.signo === signo ? death.signal : null;
  const counted =
    remembered !== null && remembered.result === RESULT_IGNORED && !remembered.committed ? null : remembered;
  const raisedAgain = counted !== null && isRaisedAgain(counted, death);
  const signal = raisedAgain ? death.request : counted;
  const origin = signal === null ? 'unknown' : originOf(signal, death);
  const facts: Facts = { death, signo, signal, origin, auditArch };
  const rule = RULES.find((candidate) => candidate.when(facts)) as Rule;
  const senderKind = rule.sender ?? facts.origin;
  const fault =
    rule.cause === 'fault' || rule.cause === 'seccomp' ? (faultOf(death, signo) ?? refault(death, signo)) : null;
  return {
    cause: rule.cause,
    errorType: rule.cause === 'oom_kill' ? 'oom_kill' : signalName(signo),
    signo,
    exitCode: null,
    coreDumped: status.coreDumped,
    signal,
    disposition: raisedAgain ? 'handled' : 'default',
    senderKind,
    sender: senderKind === 'process' && signal !== null ? signal.sender : null,
    fault,
    oomScope: rule.cause === 'oom_kill' ? oomScope(death, signal) : null,
    thread: firstThread(fault, signal, death),
    evidence: [
      ...rule.evidence(facts),
      ...stackEvidence(signal),
      ...(remembered !== null && signal === null
        ? [`a ${signalName(signo)} from ${who(remembered)} had been ignored`]
        : []),
      ...otherEvidence(death, signo, rule.cause, signal),
    ],
  };
}

/** The fault with the default action that has the fatal number. SI_KERNEL needs a trap number (#GP is 13), else the kernel forced it. */
function faultOf(death: Death, signo: number): Fault | null {
  const { fault } = death;
  if (fault === null || fault.signo !== signo || fault.code <= 0) return null;
  if (signo === SIGSYS) return fault.code === SYS_SECCOMP ? fault : null;
  if (!FAULTS.has(signo) || isForced(death)) return null;
  return fault.code !== SI_KERNEL || (fault.trap_nr !== null && fault.trap_nr > 0) ? fault : null;
}

/** Whether SIGSEGV is the kernel's word for a handled fault whose handler could not be run: it comes at once, and with the same trap. */
function isForced({ fault, handled_fault: handled }: Death): boolean {
  if (fault === null || handled === null || fault.signo !== SIGSEGV || fault.code !== SI_KERNEL) return false;
  if (handled.code === SI_KERNEL || handled.trap_nr !== fault.trap_nr) return false;
  return fault.time_ns >= handled.time_ns && fault.time_ns - handled.time_ns <= FORCED_NS;
}

function refault(death: Death, signo: number): Fault | null {
  return death.handled_fault?.signo === signo ? death.handled_fault : null;
}

function exited(death: Death, exitCode: number): Verdict {
  const { request } = death;
  const handled = request !== null && wasHandled(request, death.time_ns) ? request : null;
  const kind = handled === null ? null : kindOf(handled, death);
  return {
    cause: 'exit',
    errorType: String(exitCode),
    signo: 0,
    exitCode,
    coreDumped: false,
    signal: handled,
    disposition: handled === null ? null : 'handled',
    senderKind: kind,
    sender: kind === 'process' && handled !== null ? handled.sender : null,
    fault: null,
    oomScope: null,
    thread: null,
    evidence: [`it exited with code ${exitCode}`, ...otherEvidence(death, 0, 'exit')],
  };
}

function oomScope(death: Death, signal: Signal | null): OomScope {
  if (death.oom?.cgroup != null || death.oom?.limit != null) return 'cgroup';
  return signal === null ? 'unknown' : frames.oomScope(signal.kernel_stack);
}

function firstThread(fault: Fault | null, signal: Signal | null, death: Death): Verdict['thread'] {
  if (fault !== null) return { tid: fault.tid, name: fault.thread_comm };
  if (signal === null || !isVictim(signal.sender, death)) return null;
  return { tid: signal.sender.tid, name: signal.sender.comm };
}
