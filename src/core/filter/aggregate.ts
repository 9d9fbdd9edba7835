// SPDX-License-Identifier: Apache-2.0
// A service that dies again and again gets some records a minute; the rest of that minute is aggregated into one summary with exact counts.
// Time is an argument. The words are left to summary.ts; that a aggregated death is acknowledged and counted, to main.ts.
import type { Attributes } from '../telemetry/attributes.ts';
import { SECOND_NS } from '../time.ts';
import type { Cause } from '../verdict/verdict.ts';

export const WINDOW_MS = 60_000;
const WINDOW_NS = 60n * SECOND_NS;
/** Services whose minute is open at once; the oldest minute is closed early for another. */
export const SERVICES_MAX = 1024;

/** One death that is worth a record. */
export interface Candidate {
  /** Which service: deaths of the same key share a minute. */
  readonly key: string;
  /** When it ended, ns since 1970: what decides the minute, so that a backlog is aggregated as if it were read at once. */
  readonly endedNs: bigint;
  readonly cause: Cause;
  readonly severity: { readonly number: number; readonly text: string };
  readonly resource: Attributes;
}

/** The deaths of one service in one minute that got no record of their own. */
export interface Aggregate {
  readonly key: string;
  /** When the minute began, ns since 1970. */
  readonly startNs: bigint;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  readonly count: number;
  readonly byCause: ReadonlyMap<Cause, number>;
  /** The worst of them. */
  readonly severity: Candidate['severity'];
  /** Of the last one. */
  readonly resource: Attributes;
}

/** `Aggregate` without bigint and Map. */
export interface StoredAggregate extends Omit<Aggregate, 'startNs' | 'firstNs' | 'lastNs' | 'byCause'> {
  readonly startNs: string;
  readonly firstNs: string;
  readonly lastNs: string;
  readonly byCause: readonly (readonly [Cause, number])[];
}

function stored({ startNs, firstNs, lastNs, byCause, ...rest }: Aggregate): StoredAggregate {
  const times = { startNs: String(startNs), firstNs: String(firstNs), lastNs: String(lastNs) };
  return { ...rest, ...times, byCause: [...byCause] };
}

function restored({ startNs, firstNs, lastNs, byCause, ...rest }: StoredAggregate): Aggregate {
  const times = { startNs: BigInt(startNs), firstNs: BigInt(firstNs), lastNs: BigInt(lastNs) };
  return { ...rest, ...times, byCause: new Map(byCause) };
}

interface Minute {
  readonly startNs: bigint;
  readonly openedMs: number;
  count: number;
  aggregated: Aggregate | null;
}

export class CrashLoops {
  readonly #limit: number;
  readonly #minutes = new Map<string, Minute>();
  #closed: Aggregate[] = [];

  /** `limit`: records of one service in a minute. `before`: what open() gave the one before this one; it is due at once. */
  constructor(limit: number, before: readonly StoredAggregate[] = []) {
    this.#limit = limit;
    this.#closed = before.map(restored);
  }

  /** What is aggregated and not yet given by due(), as JSON can keep it. */
  open(): StoredAggregate[] {
    const minutes = [...this.#minutes.values()].flatMap(({ aggregated }) => (aggregated === null ? [] : [aggregated]));
    return [...this.#closed, ...minutes].map(stored);
  }

  /** Nothing is aggregated, and no minute is open: due() has nothing to do. */
  get idle(): boolean {
    return this.#minutes.size === 0 && this.#closed.length === 0;
  }

  /** Takes a death, read at `nowMs` of any steady clock. True: it is aggregated. False: it gets its record. */
  aggregates(death: Candidate, nowMs: number): boolean {
    const minute = this.#minuteOf(death, nowMs);
    minute.count += 1;
    if (minute.count <= this.#limit) return false;
    const before = minute.aggregated;
    const byCause = new Map(before?.byCause);
    byCause.set(death.cause, (byCause.get(death.cause) ?? 0) + 1);
    minute.aggregated = {
      key: death.key,
      startNs: minute.startNs,
      firstNs: before?.firstNs ?? death.endedNs,
      lastNs: death.endedNs,
      count: (before?.count ?? 0) + 1,
      byCause,
      severity: before !== null && before.severity.number > death.severity.number ? before.severity : death.severity,
      resource: death.resource,
    };
    return true;
  }

  /**
   * Whether there is room for a record that is no death, and takes it: as long as less than half of the minute's records are used, so that
   * deaths have the rest.
   */
  admits(event: Pick<Candidate, 'key' | 'endedNs'>, nowMs: number): boolean {
    const minute = this.#minuteOf(event, nowMs);
    if (minute.count >= this.#limit / 2) return false;
    minute.count += 1;
    return true;
  }

  /** The minutes that are over at `nowMs`, each given once. Infinity: all, since the end has come. */
  due(nowMs: number): Aggregate[] {
    for (const [key, { openedMs }] of this.#minutes) if (nowMs - openedMs >= WINDOW_MS) this.#close(key);
    const closed = this.#closed;
    this.#closed = [];
    return closed;
  }

  #minuteOf({ key, endedNs }: Pick<Candidate, 'key' | 'endedNs'>, nowMs: number): Minute {
    const open = this.#minutes.get(key);
    if (open !== undefined && endedNs - open.startNs < WINDOW_NS) return open;
    this.#close(key);
    if (this.#minutes.size >= SERVICES_MAX) {
      const oldest = this.#minutes.keys().next();
      if (!oldest.done) this.#close(oldest.value);
    }
    const minute: Minute = { startNs: endedNs, openedMs: nowMs, count: 0, aggregated: null };
    this.#minutes.set(key, minute);
    return minute;
  }

  #close(key: string): void {
    const aggregated = this.#minutes.get(key)?.aggregated;
    if (aggregated) this.#closed.push(aggregated);
    this.#minutes.delete(key);
  }
}
