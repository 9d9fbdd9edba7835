// SPDX-License-Identifier: Apache-2.0
// Pure: compares the mutants that the tests killed with the list of equivalent ones.
import type { Mutant } from './instrument.ts';

/** A mutant that no test can kill, because the program behaves the same. Lines are given by their text, so that they may move. */
export interface Equivalent {
  readonly file: string;
  /** The text of the line, trimmed. */
  readonly line: string;
  /** As `describeMutant` prints it. */
  readonly mutant: string;
  readonly reason: string;
}

export interface Comparison {
  readonly killed: number;
  /** Listed as equivalent, and not killed. */
  readonly equivalent: number;
  /** Neither killed nor listed. */
  readonly survivors: readonly Mutant[];
  /** Listed, but killed: the entry is wrong. */
  readonly refuted: readonly Equivalent[];
  /** Listed, but there is no such mutant (any more). */
  readonly stale: readonly Equivalent[];
}

/** `LogicalOperator: a && b → a || b`; with its number, if the line has the same more than once: `… (2)`. */
export function describeMutant({ mutator, before, after, nth }: Mutant): string {
  return `${mutator}: ${before} → ${after}${nth > 1 ? ` (${nth})` : ''}`;
}

export function compare(
  mutants: readonly Mutant[],
  killedIds: ReadonlySet<string>,
  listed: readonly Equivalent[],
): Comparison {
  const named = Map.groupBy(mutants, (mutant) => key(mutant.file, mutant.text, describeMutant(mutant)));
  const equivalents = listed.map((entry) => ({
    entry,
    found: named.get(key(entry.file, entry.line, entry.mutant)) ?? [],
  }));
  const excused = new Set(equivalents.flatMap(({ found }) => found));
  const alive = mutants.filter(({ id }) => !killedIds.has(id));
  return {
    killed: mutants.length - alive.length,
    equivalent: alive.filter((mutant) => excused.has(mutant)).length,
    survivors: alive.filter((mutant) => !excused.has(mutant)),
    refuted: equivalents.filter(({ found }) => found.some(({ id }) => killedIds.has(id))).map(({ entry }) => entry),
    stale: equivalents.filter(({ found }) => found.length === 0).map(({ entry }) => entry),
  };
}

/** The share of killed mutants among those that are not equivalent, in percent. */
export function scoreOf({ killed, survivors }: Pick<Comparison, 'killed' | 'survivors'>): number {
  const all = killed + survivors.length;
  return all === 0 ? 100 : (100 * killed) / all;
}

function key(file: string, line: string, mutant: string): string {
  return [file, line, mutant].join('\n');
}
