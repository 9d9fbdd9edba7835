// SPDX-License-Identifier: Apache-2.0
// The row of totals in the queue file: the counters of terminations, and everything else that changes in the same transaction as the rows.
import { type CounterName, noCounts } from '../../core/counters.ts';
import type { StoredAggregate } from '../../core/filter/aggregate.ts';
import type { KernelCounts } from '../../core/kernel-counts.ts';

/** A wait that the target asked for and that outlives the service; `untilMs` in ms since 1970. */
export interface Retry {
  readonly target: string;
  readonly untilMs: number;
}

/** The counters add up: see sumInWords() in core/counters.ts. */
export interface Totals extends Record<CounterName, number> {
  /** Size of the pending records, overhead included. */
  bytes: number;
  /** The last keys of `records` and `commits`; the latter counts items. */
  lastId: number;
  lastCommit: number;
  retry: Retry | null;
  /** What the metrics exported of the kernel's counters; null: nothing. */
  exported: KernelCounts | null;
  /** What version 0.1.0 aggregated and no summary has yet. Here, each of them is a row (open-rows.ts). */
  open: readonly StoredAggregate[];
}

export function noTotals(): Totals {
  return { ...noCounts(), bytes: 0, lastId: 0, lastCommit: 0, retry: null, exported: null, open: [] };
}

/** The row, as version 0.1.0 named its counters: each release reads the file of the other. */
interface Stored extends Omit<Totals, 'filtered' | 'aggregated' | 'pending'> {
  readonly screened: number;
  readonly folded: number;
  readonly queued: number;
}

/** Reads the row. A counter that it does not have is 0. */
export function readTotals(json: string): Totals {
  const { screened = 0, folded = 0, queued = 0, ...same } = JSON.parse(json) as Partial<Stored>;
  return { ...noTotals(), ...same, filtered: screened, aggregated: folded, pending: queued };
}

export function writeTotals({ filtered, aggregated, pending, ...same }: Totals): string {
  const stored: Stored = { ...same, screened: filtered, folded: aggregated, queued: pending };
  return JSON.stringify(stored);
}
