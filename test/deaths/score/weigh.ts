// SPDX-License-Identifier: Apache-2.0
// Scores what one tool reported about one termination against the truth, in the same way for whodunit and every other tool. If the output
// of a tool is ambiguous, the better reading counts. Pure.
import type { Expectation } from '../cases/case.ts';
import type { Death } from '../truth.ts';
import type { Ending, Observation, Sender, Subject } from './observed.ts';

/** `doubled`: right, more than once. `invented`: right, and another termination that did not happen. `missed`: not reported. */
export type StatusVerdict = 'right' | 'wrong' | 'missed' | 'doubled' | 'invented';
/** `silent`: no sender reported although there was one. `blamed`: a process reported although the kernel sent the signal. */
export type SenderVerdict = 'right' | 'wrong' | 'silent' | 'blamed' | 'none';

export interface Weighed {
  /** null: the tool shows no status, or the termination needs no report. */
  readonly status: StatusVerdict | null;
  readonly endings: readonly Ending[];
  /** null: the tool shows no senders, or no signal was involved. */
  readonly sender: SenderVerdict | null;
  readonly named: Sender | null;
}

/** The pid of the scheduler's idle task: a tool that names it names no process. */
const IDLE_PID = 0;

/**
 * Scores the termination `index` of `truths`. `observed`: what the tool reported while the case ran. If several terminations have the same
 * pid, reports are assigned in order, and the rest goes to the last one.
 */
export function weigh(
  truths: readonly Death[],
  index: number,
  expected: Expectation | undefined,
  observed: readonly Observation[],
  shows: readonly Subject[],
): Weighed {
  const truth = truths[index] as Death;
  const endings = endingsOf(truths, index, observed);
  const signal = truth.signal ?? expected?.handledSignal;
  const asked = shows.includes('sender') && signal !== undefined && expected !== undefined;
  return {
    status: shows.includes('status') && expected !== undefined ? weighStatus(truth, endings) : null,
    endings,
    ...(asked ? weighSenders(truth, expected, sendersOf(truth, signal, observed)) : { sender: null, named: null }),
  };
}

function endingsOf(truths: readonly Death[], index: number, observed: readonly Observation[]): Ending[] {
  const { pid } = truths[index] as Death;
  const threads = new Set(observed.filter(({ kind }) => kind === 'thread').map((thread) => thread.pid));
  const ends = observed.flatMap((one) =>
    one.kind === 'end' && one.pid === pid && !threads.has(pid) ? [one.ending] : [],
  );
  const before = truths.slice(0, index).filter((other) => other.pid === pid).length;
  const isLast = !truths.slice(index + 1).some((other) => other.pid === pid);
  return ends.slice(before, isLast ? undefined : before + 1);
}

function weighStatus(truth: Death, endings: readonly Ending[]): StatusVerdict {
  if (endings.length === 0) return 'missed';
  const right = endings.filter((ending) => isTrue(truth, ending)).length;
  if (right === 0) return 'wrong';
  if (right < endings.length) return 'invented';
  return right > 1 ? 'doubled' : 'right';
}

function isTrue(truth: Death, ending: Ending): boolean {
  return 'code' in ending ? ending.code === truth.exit_code : ending.signal === truth.signal;
}

/**
 * Returns the senders of this signal to the process, to its group (a negative number), or from the process to one of its threads. null: the
 * tool shows that no process sent it.
 */
function sendersOf({ pid }: Death, signal: number, observed: readonly Observation[]): (Sender | null)[] {
  return observed.flatMap((one) => {
    if (one.kind !== 'signal' || one.signal !== signal) return [];
    return Math.abs(one.pid) === pid || one.sender?.pid === pid ? [one.sender] : [];
  });
}

function weighSenders(
  truth: Death,
  expected: Expectation,
  senders: readonly (Sender | null)[],
): Pick<Weighed, 'sender' | 'named'> {
  const pids = { process: truth.killer?.pid, self: truth.pid, kernel: undefined, unknown: undefined };
  const right = pids[expected.senderKind ?? 'unknown'];
  const others = senders.flatMap((one) => (one === null || one.pid === IDLE_PID ? [] : [one]));
  if (right !== undefined) {
    const named = others.find(({ pid }) => pid === right) ?? others[0] ?? null;
    return { sender: named === null ? 'silent' : named.pid === right ? 'right' : 'wrong', named };
  }
  const blamed = others.filter(({ pid }) => pid !== truth.pid);
  if (blamed.length < senders.length || senders.length === 0) return { sender: 'none', named: null };
  return { sender: 'blamed', named: blamed[0] ?? null };
}
