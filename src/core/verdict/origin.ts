// SPDX-License-Identifier: Apache-2.0
// The origin of a signal, as far as it follows from the signal alone. Based on kernel/signal.c and docs/kernel-facts.md section 3:
// `current` is the sender only if it made a call that sends the signal (calls.ts). causes.ts decides the cause.
import type { Actor, Death, Signal } from '../wire/event.ts';
import { callThatSent, isCodeOfCall } from './calls.ts';
import { HANGUP, has } from './frames.ts';
import { FAULTS, SIGABRT, SIGQUIT, STOP_REQUESTS, TERMINATION_REQUESTS } from './signals.ts';
import type { SenderKind } from './verdict.ts';

/**
 * Maximum time from a handled SIGTERM, SIGINT, SIGHUP or SIGQUIT to a termination that counts as its consequence. Longer than usual
 * grace periods (systemd 90 s, Kubernetes 30 s, databases minutes); short enough to exclude an old SIGHUP that only reloaded.
 */
export const REQUEST_GRACE_NS = 600_000_000_000n;

/** Maximum time from a handled fault to the same signal, raised by the process itself, that counts as that fault (a crash handler). */
export const RERAISE_NS = 60_000_000_000n;

/**
 * `process` or `self` only if the task that ran made the call. Without siginfo, the kernel's signals have no mark of their own: `unknown`.
 * A process may choose a positive code only for a signal to itself (do_rt_sigqueueinfo()).
 */
export function originOf(signal: Signal, death: Death): SenderKind {
  const { sender, info, code } = signal;
  const call = callThatSent(signal);
  const self = isVictim(sender, death);
  const canCall = !sender.kthread && sender.pid !== 0 && !(sender.exiting && info === 'noinfo') && (code <= 0 || self);
  if (call === 'shown' && canCall) return self ? 'self' : 'process';
  if (info === 'kernel') return 'kernel';
  if (info === 'noinfo') return 'unknown';
  if (sender.kthread || (call === 'excluded' && !isCodeOfCall(code))) return 'kernel';
  return code > 0 || (sender.pid === 0 && !isCodeOfCall(code)) ? 'kernel' : 'unknown';
}

/**
 * For a signal that the process sent to itself: whether a handler cleaned up and then raised the same signal with the default action
 * (Go, Node.js, shells; recommended by the glibc manual), or aborted because of it. The cause is then the request that the handler received.
 */
export function isRaisedAgain(signal: Signal, death: Death): boolean {
  const { request, handled_fault: fault } = death;
  if (request === null || !wasHandled(request, signal.time_ns)) return false;
  if (request.signo !== signal.signo && !mayAbortAt(request, signal, death)) return false;
  // A later fault is the cause, but not in Java: no virtual machine survives the request, and its report reads memory that may not be there.
  return fault?.signo !== request.signo || fault.time_ns <= request.time_ns || isJava(death.process);
}

/** Handlers of crashes take a signal of another process for a fault. */
function mayAbortAt(request: Signal, { signo }: Signal, death: Death): boolean {
  return signo === SIGABRT && FAULTS.has(request.signo) && originOf(request, death) === 'process';
}

const JAVA = /(?:^|\/)java$/;

/**
 * Whether an exit with code 0 answers this request: of another process, handled, and recently enough (`bpf/graceful_stop.h`). SIGHUP and
 * SIGABRT may also ask for a reload or a dump, so an exit must follow sooner.
 */
export function isGracefulStop(request: Signal, death: Death): boolean {
  const { signo, action, time_ns: timeNs } = request;
  const origin = requestOriginOf(request, death);
  if (action !== 'handled' || origin === 'self' || origin === 'kernel') return false;
  if (signo === SIGQUIT && isJava(death.process)) return false; // it prints its threads, and goes on
  return death.time_ns - timeNs <= (STOP_REQUESTS.has(signo) ? REQUEST_GRACE_NS : RERAISE_NS);
}

/** Whether all terminations with the repeat key of this graceful stop are such: the key has the code of the request, but not its signal. */
export function isCertainStop({ request, process }: Death): boolean {
  return request !== null && isCodeOfCall(request.code) && !isJava(process);
}

function isJava({ exe, comm }: Death['process']): boolean {
  return JAVA.test(exe ?? comm);
}

/** Whether the process handled the request, and recently enough for an action at `timeNs` to be its consequence. */
export function wasHandled(request: Signal, timeNs: bigint): boolean {
  const graceNs = TERMINATION_REQUESTS.has(request.signo) ? REQUEST_GRACE_NS : RERAISE_NS;
  return request.action === 'handled' && timeNs - request.time_ns <= graceNs;
}

/** SIGPIPE and SIGXFSZ come from send_sig(n, current, 0): no siginfo, from the victim, in a call that does not send signals. */
export function isRaisedInOwnCall(signal: Signal | null, death: Death): boolean {
  if (signal === null) return false;
  return isVictim(signal.sender, death) && signal.info !== 'siginfo' && callThatSent(signal) !== 'shown';
}

/** The origin of a request. causes.ts has no rules for it, so a hangup and a parent-death signal are recognized here. */
export function requestOriginOf(signal: Signal, death: Death): SenderKind {
  if (has(signal, HANGUP) !== null) return 'kernel';
  const followed = signal.info === 'noinfo' && signal.sender.exiting && death.pdeath_signal === signal.signo;
  return followed ? 'kernel' : originOf(signal, death);
}

/** Compares pid and start time, because pids are reused. */
export function isVictim(actor: Actor, death: Death): boolean {
  return actor.pid === death.process.pid && actor.start_boottime_ns === death.process.start_boottime_ns;
}
