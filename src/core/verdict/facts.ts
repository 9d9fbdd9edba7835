// SPDX-License-Identifier: Apache-2.0
// What the rules of causes.ts look at, derived once from the event of a termination by a signal: the signal that was fatal, who is
// behind it, and the fault that raised it. Rests on docs/kernel-facts.md section 3 and on kernel/signal.c.
import type { Death, Fault, Signal } from '../wire/event.ts';
import { isRaisedAgain, originOf } from './origin.ts';
import { RESULT_IGNORED, SI_KERNEL, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SYS_SECCOMP } from './signals.ts';
import type { SenderKind } from './verdict.ts';

/** How soon after a fault that had a handler the kernel forces its default action: get_signal() and setup_rt_frame() are one path. */
const FORCED_NS = 100_000_000n;

/** Signals that the processor's exceptions raise. */
export const FAULTS: ReadonlySet<number> = new Set([SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP]);

export interface Facts {
  readonly death: Death;
  readonly signo: number;
  /** The pending signal if it can be the fatal one; where its handler raised it again, the request that the handler took. */
  readonly signal: Signal | null;
  readonly origin: SenderKind;
  readonly raisedAgain: boolean;
  /** A signal of the fatal number that was ignored, and so terminated nothing. */
  readonly ignored: Signal | null;
  /** The fault with the default action that has the fatal number. */
  readonly fault: Fault | null;
  /** SIGSEGV stands for a handled fault whose handler the kernel could not run. */
  readonly forced: boolean;
  /** Names system calls in the evidence; null: they stay numbers. */
  readonly auditArch: number | null;
}

export function factsOf(death: Death, signo: number, auditArch: number | null): Facts {
  const pending = death.signal !== null && death.signal.signo === signo ? death.signal : null;
  // An ignored signal that was not committed terminates nothing (prepare_signal in kernel/signal.c).
  const isIgnored = pending !== null && pending.result === RESULT_IGNORED && !pending.committed;
  const fatal = isIgnored ? null : pending;
  const origin = fatal === null ? 'unknown' : originOf(fatal, death);
  const raisedAgain = fatal !== null && origin === 'self' && isRaisedAgain(fatal, death);
  const signal = raisedAgain ? death.request : fatal;
  const forced = isForced(death);
  return {
    death,
    signo,
    signal,
    origin: raisedAgain && signal !== null ? originOf(signal, death) : origin,
    raisedAgain,
    ignored: isIgnored ? pending : null,
    fault: faultOf(death, signo, forced),
    forced: signo === SIGSEGV && forced,
    auditArch,
  };
}

/** SI_KERNEL needs a trap number (#GP is 13): without one the kernel forced the signal. */
function faultOf({ fault }: Death, signo: number, forced: boolean): Fault | null {
  if (fault === null || fault.signo !== signo || fault.code <= 0) return null;
  if (signo === SIGSYS) return fault.code === SYS_SECCOMP ? fault : null;
  if (!FAULTS.has(signo) || forced) return null;
  return fault.code !== SI_KERNEL || (fault.trap_nr !== null && fault.trap_nr > 0) ? fault : null;
}

/** force_sigsegv() in kernel/signal.c follows the handled fault at once, and with the same trap. */
function isForced({ fault, handled_fault: handled }: Death): boolean {
  if (fault === null || handled === null || fault.signo !== SIGSEGV || fault.code !== SI_KERNEL) return false;
  if (handled.code === SI_KERNEL || handled.trap_nr !== fault.trap_nr) return false;
  return fault.time_ns >= handled.time_ns && fault.time_ns - handled.time_ns <= FORCED_NS;
}
