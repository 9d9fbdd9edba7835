// SPDX-License-Identifier: Apache-2.0
// What every scenario has: a name, a length, and a verdict. The verdict is the same for all: each death of the ledger was delivered,
// or filtered, or refused, or is counted as lost; and nothing was reported that did not happen.
import { REAPER, until } from '../../scripts/stack/program.ts';
import type { Status } from '../../scripts/stack/whodunit.ts';
import { type Account, ALL_DELIVERED, account, type Expected, type TrueDeath } from './ledger.ts';
import { type Stack, settled } from './stack.ts';

export interface Scale {
  /** The whole length, not the short one of CI. */
  readonly full: boolean;
  /** Decides every random choice. */
  readonly seed: number;
  readonly soakMinutes: number;
}

export interface Result extends Account {
  /** What was counted as lost, by whatever stage, while it happened. */
  readonly lost: number;
  /** Who else died on this machine meanwhile: what was lost may have been theirs. */
  readonly others: number;
  /** What else is worth a word: figures, what was killed how often. */
  readonly note: string;
  /** Why it is no success; none: it is one. */
  readonly problems: readonly string[];
}

export interface Scenario {
  /** For --only: a letter, or a word. */
  readonly key: string;
  readonly name: string;
  /** It has a machine of its own, so that it can happen beside the next that has. */
  readonly apart?: true;
  /** How long it may take before the test is ended. */
  readonly withinMs: (scale: Scale) => number;
  readonly run: (scale: Scale) => Promise<Result>;
}

export interface Judging {
  readonly stack: Stack;
  readonly ledger: readonly TrueDeath[];
  readonly note?: string;
  readonly expected?: Expected;
  /** Deaths may be lost, as long as they are counted. */
  readonly mayLose?: boolean;
  readonly withinMs?: number;
  readonly problems?: readonly string[];
}

const JUDGED_WITHIN_MS = 90_000;
const ANSWER_WITHIN_MS = 30_000;

/** Waits until every termination of the ledger is settled, and sums up. */
export async function judge({
  stack,
  ledger,
  note = '',
  expected = ALL_DELIVERED,
  mayLose = false,
  withinMs = JUDGED_WITHIN_MS,
  problems = [],
}: Judging): Promise<Result> {
  const found = [...problems];
  await settled(stack, withinMs).catch((error: Error) => found.push(error.message));
  const drawn = account(ledger, stack.records(), REAPER, expected);
  const status = await until('an answer of the service', ANSWER_WITHIN_MS, () => stack.status());
  const after = await until('an answer of the loader', ANSWER_WITHIN_MS, () => stack.counters());
  found.push(...stack.surprises());
  // What the collector refused is a column of its own.
  const { kernel, loader, queue } = status.deaths.lost;
  const lost = kernel + loader + queue;
  const others = happened(after) - ledger.length;
  return { ...drawn, lost, others, note, problems: [...found, ...differences(drawn, lost, others, mayLose)] };
}

/** Every death of the machine since the probes were attached, kept or not: the pins are the stack's own. */
function happened({ deaths, lost }: Status): number {
  return Number(deaths) + Number(lost.ring_full) + Number(lost.missed);
}

/** The one complaint that terminations of other processes may cause. */
export const WERE_LOST = 'were lost where nothing may be';

export function differences(
  { missing, duplicates, wrong, othersReported }: Account,
  lost: number,
  others: number,
  mayLose: boolean,
): string[] {
  const found: string[] = [];
  if (duplicates > 0) found.push(`${duplicates} deaths have records of different uids`);
  if (wrong > 0) found.push(`${wrong} records tell what did not happen`);
  if (missing > lost) found.push(`${missing - lost} deaths are neither delivered nor counted as lost`);
  const othersMissing = Math.max(others - othersReported, 0);
  if (lost > missing + othersMissing)
    found.push(`${lost} are counted as lost, ${missing} are missing, and only of ${othersMissing} others is no record`);
  if (!mayLose && lost + missing > 0) found.push(`${Math.max(lost, missing)} ${WERE_LOST}`);
  return found;
}

/** Two rounds of a scenario as one. */
export function sum(a: Result, b: Result): Result {
  return {
    deaths: a.deaths + b.deaths,
    delivered: a.delivered + b.delivered,
    filtered: a.filtered + b.filtered,
    refused: a.refused + b.refused,
    copies: a.copies + b.copies,
    duplicates: a.duplicates + b.duplicates,
    missing: a.missing + b.missing,
    wrong: a.wrong + b.wrong,
    lost: a.lost + b.lost,
    others: a.others + b.others,
    othersReported: a.othersReported + b.othersReported,
    examples: [...a.examples, ...b.examples],
    note: [a.note, b.note].filter((note) => note !== '').join('; '),
    problems: [...a.problems, ...b.problems],
  };
}
