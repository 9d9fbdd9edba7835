// SPDX-License-Identifier: Apache-2.0
// The counters of terminations: one table, from which the ledger's totals, /status, the metrics and the sum in the documentation are made.
// The pipeline counts; the queue's ledger keeps the totals.
import { OUTCOME_VALUES, type OutcomeValue, type StageValue } from './telemetry/semconv.ts';

/** A term of the sum: input, outcome, still waiting, or lost in a stage. */
type Term = 'in' | 'outcome' | 'waiting' | { readonly lostIn: Extract<StageValue, 'queue' | 'export'> };

export const COUNTERS = {
  received: { term: 'in', counts: 'Terminations read from the loader, without duplicates.' },
  summaries: {
    term: 'in',
    counts: 'Records that are not one termination: summaries of aggregated ones, and restarts.',
  },
  reported: { term: 'outcome', counts: 'Records accepted by the logs exporter, or printed where there is none.' },
  filtered: { term: 'outcome', counts: 'Terminations that get no record because of a filter rule.' },
  aggregated: {
    term: 'outcome',
    counts: 'Terminations that are counted in a summary instead of a record of their own.',
  },
  pending: { term: 'waiting', counts: 'Records in the disk queue.' },
  evicted: { term: { lostIn: 'queue' }, counts: 'Records dropped because the disk queue was full.' },
  damaged: { term: { lostIn: 'queue' }, counts: 'Records that were in a damaged part of the queue file.' },
  purged: { term: { lostIn: 'queue' }, counts: 'Records removed with `whodunit purge --undelivered`.' },
  rejected: { term: { lostIn: 'export' }, counts: 'Records that the collector rejected permanently.' },
} as const satisfies Record<string, { readonly term: Term; readonly counts: string }>;

export type CounterName = keyof typeof COUNTERS;
export type Counters = Readonly<Record<CounterName, number>>;
export const COUNTER_NAMES = Object.keys(COUNTERS) as readonly CounterName[];

/** The outcome of a termination that is not lost. Normal exits are counted in the kernel only. */
export type Outcome = Exclude<OutcomeValue, 'normal'>;
export const OUTCOMES: readonly Outcome[] = OUTCOME_VALUES.filter((value) => value !== 'normal');

export function noCounts(): Record<CounterName, number> {
  return Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as Record<CounterName, number>;
}

/** One item to count: a termination, a summary, or a restart. */
export interface Countable {
  /** Absent: a termination that is reported or filtered. `summary`: a summary of aggregated terminations, or a restart. */
  readonly kind?: 'aggregated' | 'summary';
  readonly record: Uint8Array | null;
  /** Terminations that the kernel counted are one item. Absent: 1. */
  readonly times?: number;
}

/** Counts one item on both sides of the sum. `record`: the counter for an item with a record; `reported` if nothing is sent. */
export function count(counters: Record<CounterName, number>, item: Countable, record: 'pending' | 'reported'): void {
  const { times = 1 } = item;
  counters[item.kind === 'summary' ? 'summaries' : 'received'] += times;
  counters[item.record !== null ? record : item.kind === 'aggregated' ? 'aggregated' : 'filtered'] += times;
}

/** Records lost in this stage of the service. */
export function lostIn(counters: Counters, stage: 'queue' | 'export'): number {
  return COUNTER_NAMES.filter((name) => lossStage(name) === stage).reduce((sum, name) => sum + counters[name], 0);
}

/** The input minus all other terms. Always 0. */
export function unaccounted(counters: Counters): number {
  return COUNTER_NAMES.reduce((sum, name) => sum + (COUNTERS[name].term === 'in' ? 1 : -1) * counters[name], 0);
}

/** The sum that always holds, as the documentation writes it. */
export function sumInWords(): string {
  const incoming = COUNTER_NAMES.filter((name) => COUNTERS[name].term === 'in');
  const kept = COUNTER_NAMES.filter((name) => COUNTERS[name].term !== 'in' && lossStage(name) === null);
  const losses = new Set(COUNTER_NAMES.map(lossStage).filter((stage) => stage !== null));
  const lost = [...losses].map((stage) => `lost in the ${stage}`);
  return `${incoming.join(' + ')} = ${[...kept, ...lost].join(' + ')}`;
}

function lossStage(name: CounterName): 'queue' | 'export' | null {
  const { term } = COUNTERS[name];
  return typeof term === 'string' ? null : term.lostIn;
}
