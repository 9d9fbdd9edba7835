// SPDX-License-Identifier: Apache-2.0
// What every scenario has: a name, a length, and a verdict. The verdict is the same for all: each termination of the ledger was delivered,
// filtered, refused, or counted as lost; and there is no record without a termination.
import { REAPER, until } from '../../scripts/stack/program.ts';
import type { Status } from '../../scripts/stack/whodunit.ts';
import { type Account, ALL_DELIVERED, account, type Expected, type IsAbout, type TrueDeath } from './ledger.ts';
import { type Stack, settled } from './stack.ts';

export interface Scale {
  /** The full length instead of the short one of CI. */
  readonly full: boolean;
  /** The seed of every random choice. */
  readonly seed: number;
  readonly soakMinutes: number;
}

export interface Result extends Account {
  /** Counted as lost by any stage during the scenario. */
  readonly lost: number;
  /** Terminations outside the test meanwhile. They may be among the lost. */
  readonly others: number;
  /** Details: figures, what was killed how often. */
  readonly note: string;
  /** Why the scenario failed. Empty: it passed. */
  readonly problems: readonly string[];
}

export interface Scenario {
  /** The name for --only. */
  readonly key: string;
  readonly name: string;
  /** Runs in a virtual machine, so it can run beside another one that does. */
  readonly apart?: true;
  /** The timeout of the test. */
  readonly withinMs: (scale: Scale) => number;
  readonly run: (scale: Scale) => Promise<Result>;
}

export interface CheckOptions {
  readonly stack: Stack;
  readonly ledger: readonly TrueDeath[];
  /** The executable of the ledger's processes: by default the reaper. */
  readonly executable?: string;
  readonly note?: string;
  readonly expected?: Expected;
  readonly isAbout?: IsAbout;
  /** Losses are allowed if they are counted. */
  readonly mayLose?: boolean;
  readonly withinMs?: number;
  readonly problems?: readonly string[];
}

const SETTLED_WITHIN_MS = 90_000;
const ANSWER_WITHIN_MS = 30_000;

/** Waits until every termination of the ledger is settled, and computes the result. */
export async function check({
  stack,
  ledger,
  executable = REAPER,
  note = '',
  expected = ALL_DELIVERED,
  isAbout,
  mayLose = false,
  withinMs = SETTLED_WITHIN_MS,
  problems = [],
}: CheckOptions): Promise<Result> {
  const found = [...problems];
  await settled(stack, withinMs).catch((error: Error) => found.push(error.message));
  const drawn = account(ledger, stack.records(), executable, expected, isAbout);
  const status = await until('an answer of the service', ANSWER_WITHIN_MS, () => stack.status());
  const after = await until('an answer of the loader', ANSWER_WITHIN_MS, () => stack.counters());
  found.push(...stack.unexpectedExits());
  // Records that the collector refused have their own column.
  const { kernel, loader, queue } = status.deaths.lost;
  const lost = kernel + loader + queue;
  const others = terminations(after) - ledger.length;
  return { ...drawn, lost, others, note, problems: [...found, ...differences(drawn, lost, others, mayLose)] };
}

/** All terminations on the machine since the probes were attached, lost ones included. The stack has its own pins. */
function terminations({ deaths, lost }: Status): number {
  return Number(deaths) + Number(lost.ring_full) + Number(lost.missed);
}

/** The end of the only problem that terminations outside the test may cause. */
export const WERE_LOST = 'were lost where nothing may be lost';

export function differences(
  { missing, duplicates, wrong, othersReported }: Account,
  lost: number,
  others: number,
  mayLose: boolean,
): string[] {
  const found: string[] = [];
  if (duplicates > 0) found.push(`${duplicates} terminations have records with different uids`);
  if (wrong > 0) found.push(`${wrong} records are wrong`);
  if (missing > lost) found.push(`${missing - lost} terminations are neither delivered nor counted as lost`);
  const othersMissing = Math.max(others - othersReported, 0);
  if (lost > missing + othersMissing)
    found.push(
      `${lost} are counted as lost, but only ${missing} are missing, and only ${othersMissing} outside the test have no record`,
    );
  if (!mayLose && lost + missing > 0) found.push(`${Math.max(lost, missing)} ${WERE_LOST}`);
  return found;
}

/** Adds the results of two rounds of a scenario. */
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
