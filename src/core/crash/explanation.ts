// SPDX-License-Identifier: Apache-2.0
// The form of an explanation, and of the tables of memory.ts, instructions.ts and aborts.ts: the first row whose evidence is there decides.
// No row is better than one that guesses.
import type { CrashReasonValue } from '../telemetry/semconv.ts';
import type { CrashFacts } from './facts.ts';

export interface Explanation {
  readonly reason: CrashReasonValue;
  /** A clause for people: `null dereference (read of p + 0x18)`. */
  readonly words: string;
  /** The facts that led to it. */
  readonly evidence: readonly string[];
}

export interface Row {
  readonly reason: CrashReasonValue;
  readonly when: (facts: CrashFacts) => boolean;
  readonly words: string | ((facts: CrashFacts) => string);
  readonly evidence: (facts: CrashFacts) => readonly string[];
}

export function firstOf(rows: readonly Row[], facts: CrashFacts): Explanation | null {
  const row = rows.find(({ when }) => when(facts));
  if (row === undefined) return null;
  const { reason, words, evidence } = row;
  return { reason, words: typeof words === 'string' ? words : words(facts), evidence: evidence(facts) };
}

export function hex(number: bigint): string {
  return `0x${number.toString(16)}`;
}
