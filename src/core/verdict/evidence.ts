// SPDX-License-Identifier: Apache-2.0
// The facts that led to a cause, as text, so that a reader can check the verdict. causes.ts chooses among them.
import type { Death, Fault, Signal } from '../wire/event.ts';
import type { Facts } from './facts.ts';
import { shownFrame } from './frames.ts';
import { taskLabel } from './labels.ts';
import { notificationOf } from './notification.ts';
import { codeName, RESULT_IGNORED, SIGKILL, signalName } from './signals.ts';
import type { Cause, SenderKind } from './verdict.ts';

export function faultEvidence(fault: Fault | null, how: string): string[] {
  if (fault === null) return [];
  const where = fault.address === null ? '' : ` at ${fault.address}`;
  const trap = fault.trap_nr === null ? '' : `, trap ${fault.trap_nr}`;
  return [`${signalName(fault.signo)} with ${codeName(fault.signo, fault.code)}${where}${trap}, ${how}`];
}

/** A signal before the fatal one or before the exit, and its origin. */
export interface Request {
  readonly signal: Signal;
  readonly origin: SenderKind;
}

/** Other facts: an earlier request that the verdict does not report, an earlier fault, a tracer, what is missing for lack of space. */
export function otherEvidence(death: Death, signo: number, cause: Cause, request: Request | null): string[] {
  const lines: string[] = [];
  const { fault, handled_fault: handled } = death;
  if (request !== null) lines.push(requestEvidence(request, death, signo));
  if (fault !== null && fault.signo !== signo) {
    lines.push(
      ...faultEvidence(fault, signo === SIGKILL ? 'came first; SIGKILL interrupted the core dump' : 'came first'),
    );
  }
  if (handled !== null && cause !== 'fault') lines.push(...faultEvidence(handled, 'had been delivered to a handler'));
  if (death.ptraced) lines.push('a tracer was attached');
  if (death.facts_refused)
    lines.push(
      `the memory for signals was full for its user (uid ${death.origin.uid}) since it started: signals and their senders may be missing`,
    );
  if (death.shrunk) lines.push('its share of the ring buffer was nearly full: parts of the record were left out');
  return lines;
}

/** The process aborted in the handler of a signal: Java and Ruby report a SIGSEGV of anyone as a bug of theirs. */
export function abortEvidence({ death, signo, signal, origin }: Facts): string[] {
  const handled = signal === null ? [] : [requestEvidence({ signal, origin }, death, signo)];
  return [...handled, 'the process itself then raised SIGABRT'];
}

function requestEvidence({ signal, origin }: Request, death: Death, signo: number): string {
  const what = notificationOf(signal);
  const kernel = ` from the kernel${what === null ? '' : ` (${what})`}`;
  const by = { process: ` from ${taskLabel(signal)}`, self: ' from itself', kernel, unknown: '' }[origin];
  const seconds = Number(death.time_ns - signal.time_ns) / 1e9;
  return `${signalName(signal.signo)}${by} ${handlingOf(signal, death, signo)}, ${seconds.toFixed(3)} s before the termination`;
}

/**
 * Default action but no termination: it was blocked, or ignored for an init (sig_task_ignored in kernel/signal.c). Only SIGKILL terminates a
 * process that is stopped (SIGSTOP), so that another signal waits, whatever its action.
 */
function handlingOf({ action, result, victim_stopped: stopped }: Signal, { stop }: Death, signo: number): string {
  if (result === RESULT_IGNORED && action === 'default')
    return 'was ignored: the process is the init of a pid namespace and has no handler';
  const taken = action === 'default' ? 'was blocked' : `was ${action}`;
  if (action === 'ignored') return taken;
  if (stopped === true)
    return stop === null || stop.continued_ns === null
      ? 'came while it was stopped'
      : `came while it was stopped, and ${taken} after it had been continued`;
  return stopped === null && action === 'default' && signo === SIGKILL
    ? `${taken}, or came while it was stopped`
    : taken;
}

/** An ignored signal with the fatal number, if no other signal is known. */
export function ignoredEvidence(signal: Signal | null): string[] {
  return signal === null ? [] : [`a ${signalName(signal.signo)} from ${taskLabel(signal)} had been ignored`];
}

export function stackEvidence(signal: Signal | null): string[] {
  const frame = signal === null ? null : shownFrame(signal);
  return frame === null ? [] : [`kernel stack of the signal: ${frame}`];
}

export function whileRunning(signal: Signal | null, what: string): string {
  return `generated while ${taskLabel(signal)} was running: ${what}`;
}

export function codeLabel(signal: Signal | null): string {
  if (signal === null) return 'no code';
  return signal.info === 'noinfo' ? 'no siginfo' : codeName(signal.signo, signal.code);
}
