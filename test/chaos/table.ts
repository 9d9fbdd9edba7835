// SPDX-License-Identifier: Apache-2.0
// The results as a table for people. Pure.
import type { Result, Scenario } from './scenario.ts';

export interface Row {
  readonly scenario: Pick<Scenario, 'key' | 'name'>;
  readonly result: Result;
}

const HEADS = [
  '',
  'scenario',
  'deaths',
  'delivered',
  'filtered',
  'refused',
  'copies',
  'duplicates',
  'missing',
  'lost',
  'others',
  'verdict',
];
/** Columns of words; the others hold numbers. */
const WORDS: ReadonlySet<number> = new Set([0, 1, 11]);

/**
 * `copies`: second copies of a record, which fall to log.record.uid. `duplicates`: what is left of them after that. `missing`: deaths
 * without a record that should have had one. `lost`: what whodunit itself counted as lost, `others`' deaths on this machine included.
 */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ scenario, result }) => [
    scenario.key,
    scenario.name,
    ...[result.deaths, result.delivered, result.filtered, result.refused].map(String),
    ...[result.copies, result.duplicates, result.missing, result.lost, result.others].map(String),
    `${result.problems.length === 0 ? 'adds up' : 'FAILED'}${result.note === '' ? '' : ` (${result.note})`}`,
  ]);
  const widths = HEADS.map((head, at) => Math.max(head.length, ...cells.map((line) => line[at]?.length ?? 0)));
  const line = (words: readonly string[]) =>
    words
      .map((word, at) => (WORDS.has(at) ? word.padEnd(widths[at] ?? 0) : word.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  return `${[HEADS, ...cells].map(line).join('\n')}\n`;
}
