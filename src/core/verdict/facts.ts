// SPDX-License-Identifier: Apache-2.0
// The input of the rules in causes.ts, derived once from the event of a termination by a signal: the fatal signal, its origin, and the
// fault that raised it. Based on docs/kernel-facts.md section 3 and kernel/signal.c.
import type { Death, Fault, Signal } from '../wire/event.ts';
import { notificationOf } from './notification.ts';
import { isRaisedAgain, originOf } from './origin.ts';
import { FAULTS, RESULT_IGNORED, SI_KERNEL, SIGSEGV, SIGSYS, SYS_SECCOMP } from './signals.ts';
import type { SenderKind } from './verdict.ts';

/** Maximum time from a handled fault to a forced SIGSEGV. get_signal() and setup_rt_frame() are on one path. */
const FORCED_NS = 100_000_000n;

export interface Facts {
  readonly death: Death;
  readonly signo: number;
  /** The fatal signal, if it was recorded. If a handler raised it again, or aborted: the request that the handler received. */
  readonly signal: Signal | null;
  readonly origin: SenderKind;
  readonly raisedAgain: boolean;
  /** A signal with the fatal number that was ignored, and therefore terminated nothing. */
  readonly ignored: Signal | null;
  /** The fault with the fatal number and the default action. */
  readonly fault: Fault | null;
  /** The kernel forced SIGSEGV, because it could not run the handler of a fault. */
  readonly forced: boolean;
}

export function factsOf(death: Death, signo: number): Facts {
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
    fault: fatal !== null && isNoFault(fatal, origin) ? null : faultOf(death, signo, forced),
    forced: signo === SIGSEGV && forced,
  };
}

/** The exit signal of a child has the codes CLD_*, which are those of faults, too. And a process may send itself any code. */
function isNoFault(fatal: Signal, origin: SenderKind): boolean {
  return origin === 'self' || notificationOf(fatal) !== null;
}

/** SI_KERNEL is a fault only with a trap number (#GP is 13). Without one, the kernel forced the signal. */
function faultOf({ fault }: Death, signo: number, forced: boolean): Fault | null {
  if (fault === null || fault.signo !== signo || fault.code <= 0) return null;
  if (signo === SIGSYS) return fault.code === SYS_SECCOMP ? fault : null;
  if (!FAULTS.has(signo) || forced) return null;
  return fault.code !== SI_KERNEL || (fault.trap_nr !== null && fault.trap_nr > 0) ? fault : null;
}

/** force_sigsegv() in kernel/signal.c follows the handled fault at once, with the same trap number. */
function isForced({ fault, handled_fault: handled }: Death): boolean {
  if (fault === null || handled === null || fault.signo !== SIGSEGV || fault.code !== SI_KERNEL) return false;
  if (handled.code === SI_KERNEL || handled.trap_nr !== fault.trap_nr) return false;
  return fault.time_ns >= handled.time_ns && fault.time_ns - handled.time_ns <= FORCED_NS;
}
