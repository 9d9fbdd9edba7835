// SPDX-License-Identifier: Apache-2.0
// What is known of a loop, as a value that never changes: it is stored, and its records are made of it. loops.ts has the loops.
import type { OriginKey } from '../shares.ts';
import type { LoopAbout, LoopMember } from './loop-member.ts';

/** Ways to end that a loop counts separately. */
export const OUTCOMES_MAX = 8;

/** Times in ns: since boot, and `At` since 1970. */
export interface LoopFacts {
  readonly key: string;
  /** The uid of the first termination. */
  readonly first: string;
  readonly origin: OriginKey;
  /** Records of it so far. */
  readonly said: number;
  readonly count: number;
  /** Terminations that have no record of their own, and are in none of its records yet. */
  readonly aggregated: number;
  /** Since boot, ns. */
  readonly firstNs: string;
  readonly lastNs: string;
  /** Since 1970, ns. */
  readonly firstAtNs: string;
  readonly lastAtNs: string;
  readonly outcomes: readonly (readonly [string, number])[];
  /** From a termination to the next start: the last one, and the longest; since then the process ran at most `longestLifeMs`. */
  readonly gapMs: number;
  readonly longestGapMs: number;
  readonly longestLifeMs: number;
  readonly restarts: number;
  /** An example. null: not known, not shown, or it has not begun. */
  readonly command: string | null;
  readonly about: LoopAbout;
}

/** Of the first termination. */
export function factsOf({ key, origin, startNs, endNs, offsetNs, outcome, about }: LoopMember): LoopFacts {
  const [ns, atNs] = [String(endNs), String(endNs + offsetNs)];
  return {
    key,
    first: about.uid,
    origin,
    said: 0,
    count: 1,
    aggregated: 0,
    firstNs: ns,
    lastNs: ns,
    firstAtNs: atNs,
    lastAtNs: atNs,
    outcomes: [[outcome, 1]],
    gapMs: 0,
    longestGapMs: 0,
    longestLifeMs: milliseconds(endNs - startNs),
    restarts: 0,
    command: null,
    about,
  };
}

/** With one more termination. */
export function next(
  facts: LoopFacts,
  { startNs, endNs, offsetNs, outcome, about }: LoopMember,
  gapNs: bigint,
): LoopFacts {
  const gapMs = milliseconds(gapNs);
  const severity = facts.about.severity.number > about.severity.number ? facts.about.severity : about.severity;
  return {
    ...facts,
    count: facts.count + 1,
    lastNs: String(endNs),
    lastAtNs: String(endNs + offsetNs),
    outcomes: withOutcome(facts.outcomes, outcome, 1),
    gapMs,
    longestGapMs: Math.max(facts.longestGapMs, gapMs),
    longestLifeMs: Math.max(facts.longestLifeMs, milliseconds(endNs - startNs)),
    about: { ...about, severity, restarter: about.restarter ?? facts.about.restarter },
  };
}

/** One more than OUTCOMES_MAX, so that a loop says once that there are others. */
export function withOutcome(outcomes: LoopFacts['outcomes'], outcome: string, count: number): LoopFacts['outcomes'] {
  if (outcomes.some(([one]) => one === outcome))
    return outcomes.map(([one, times]) => [one, one === outcome ? times + count : times] as const);
  return outcomes.length > OUTCOMES_MAX ? outcomes : [...outcomes, [outcome, count]];
}

export function milliseconds(ns: bigint): number {
  return ns < 0n ? 0 : Number(ns / 1_000_000n);
}
