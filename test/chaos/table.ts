// SPDX-License-Identifier: Apache-2.0
// Renders the results as a text table. Pure.
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
/** Columns with text; the others have numbers. */
const WORDS: ReadonlySet<number> = new Set([0, 1, 11]);

/**
 * `copies`: repeated records with the same log.record.uid. `duplicates`: with different uids. `missing`: terminations without a record that
 * should have one. `lost`: counted as lost by whodunit, including terminations outside the test (`others`).
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
