// SPDX-License-Identifier: Apache-2.0
// Counts of a run: whodunit by the strict comparison of the suite, and every tool by the common score. Pure.
import type { Run, Scored } from './run.ts';
import type { SenderVerdict, StatusVerdict } from './weigh.ts';
import { ourWords, truthWords, weighedWords } from './words.ts';

export type StatusTally = Readonly<Record<StatusVerdict | 'of', number>>;
export type SenderTally = Readonly<Record<SenderVerdict | 'of', number>>;

/** Equal terminations of one case: the same truth, and the same output of every tool. */
export interface Row {
  readonly scored: Scored;
  readonly times: number;
}

/** In order of first occurrence. A case that repeats the same termination counts no more than another. */
export function rowsOf(run: Run): Row[] {
  const rows = new Map<string, Row>();
  for (const scored of run.scored) {
    const { one, finding, weighed } = scored;
    const { said, right } = ourWords(scored);
    const others = [...weighed.values()].map(weighedWords);
    const key = JSON.stringify([one.id, truthWords(finding.truth, finding.expected), said, right, others]);
    const row = rows.get(key);
    rows.set(key, { scored: row?.scored ?? scored, times: (row?.times ?? 0) + 1 });
  }
  return [...rows.values()];
}

/** How many rows of a tool have each verdict; `of`: how many have a verdict. null: none has one. */
export function tallyStatus(rows: readonly Row[], tool: string): StatusTally | null {
  const tally = { right: 0, wrong: 0, missed: 0, doubled: 0, invented: 0, of: 0 };
  for (const { scored } of rows) {
    const status = scored.weighed.get(tool)?.status ?? null;
    if (status === null) continue;
    tally[status] += 1;
    tally.of += 1;
  }
  return tally.of === 0 ? null : tally;
}

/** `of`: the rows with a sender to report. Rows in which the kernel sent the signal are `blamed` or `none`. */
export function tallySender(rows: readonly Row[], tool: string): SenderTally | null {
  const tally = { right: 0, wrong: 0, silent: 0, blamed: 0, none: 0, of: 0 };
  let asked = false;
  for (const { scored } of rows) {
    const sender = scored.weighed.get(tool)?.sender ?? null;
    if (sender === null) continue;
    asked = true;
    tally[sender] += 1;
    if (sender !== 'blamed' && sender !== 'none') tally.of += 1;
  }
  return asked ? tally : null;
}

export interface Total {
  readonly cases: number;
  readonly deaths: number;
  readonly right: number;
  /** Terminations with a difference, and cases that could not run. */
  readonly wrong: number;
  /** Those of the wrong ones that have no record. */
  readonly missed: number;
  readonly doubled: number;
  readonly invented: number;
  readonly lost: number;
}

export function total({ scored, failed, review }: Run): Total {
  const right = scored.filter(({ finding }) => finding.differences.length === 0).length;
  return {
    cases: new Set(scored.map(({ one }) => one.id)).size + failed.length,
    deaths: scored.length,
    right,
    wrong: scored.length - right + failed.length,
    missed: scored.filter(({ finding }) => finding.expected !== undefined && finding.records.length === 0).length,
    doubled: review.doubled.length,
    invented: review.invented.length,
    lost: review.lost,
  };
}

/** Whether the run has no errors. */
export function allRight(run: Run): boolean {
  const { deaths, wrong, missed, doubled, invented, lost } = total(run);
  return deaths > 0 && wrong + missed + doubled + invented + lost + run.complaints.length === 0;
}
