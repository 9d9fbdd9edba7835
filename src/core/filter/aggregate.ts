// SPDX-License-Identifier: Apache-2.0
// A service in a crash loop gets a limited number of records per minute. Further terminations in that minute are aggregated into one
// summary with exact counts. Time is an argument. telemetry/summary.ts builds the record of the summary.
import { Displaced, FairMap, type Member, type OriginKey } from '../shares.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import { SECOND_NS } from '../time.ts';
import type { Cause } from '../verdict/verdict.ts';

export const WINDOW_MS = 60_000;
const WINDOW_NS = 60n * SECOND_NS;
/** Maximum number of services with an open minute. Beyond it, the oldest minute of the origin that has most is closed early. */
export const SERVICES_MAX = 1024;

/** One termination that passed the filter. */
export interface Candidate {
  /** The service: terminations with the same key share a minute. */
  readonly key: string;
  readonly origin: OriginKey;
  /** Kernel timestamp, ns since 1970. It decides the minute, so that a backlog is aggregated as if it had been read in time. */
  readonly endedNs: bigint;
  readonly cause: Cause;
  /** The path. null: not known. */
  readonly executable: string | null;
  readonly severity: { readonly number: number; readonly text: string };
  readonly resource: Attributes;
}

/** The terminations of one service in one minute that did not get a record of their own. */
export interface Aggregate {
  readonly key: string;
  readonly origin: OriginKey;
  /** Start of the minute, ns since 1970. */
  readonly startNs: bigint;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  readonly count: number;
  readonly byCause: ReadonlyMap<Cause, number>;
  readonly executable: string | null;
  /** The highest severity among them. */
  readonly severity: Candidate['severity'];
  /** The resource of the last one. */
  readonly resource: Attributes;
}

/** `Aggregate` without bigint and Map. */
export interface StoredAggregate
  extends Omit<Aggregate, 'origin' | 'executable' | 'startNs' | 'firstNs' | 'lastNs' | 'byCause'> {
  /** Absent: stored by version 0.1.0, like the next one. */
  readonly origin?: OriginKey;
  readonly executable?: string | null;
  readonly startNs: string;
  readonly firstNs: string;
  readonly lastNs: string;
  readonly byCause: readonly (readonly [Cause, number])[];
}

function stored({ startNs, firstNs, lastNs, byCause, ...rest }: Aggregate): StoredAggregate {
  const times = { startNs: String(startNs), firstNs: String(firstNs), lastNs: String(lastNs) };
  return { ...rest, ...times, byCause: [...byCause] };
}

function restored({
  origin = '',
  executable = null,
  startNs,
  firstNs,
  lastNs,
  byCause,
  ...rest
}: StoredAggregate): Aggregate {
  const times = { startNs: BigInt(startNs), firstNs: BigInt(firstNs), lastNs: BigInt(lastNs) };
  return { ...rest, ...times, origin, executable, byCause: new Map(byCause) };
}

interface Minute {
  readonly startNs: bigint;
  readonly openedMs: number;
  count: number;
  aggregated: Aggregate | null;
}

export class CrashLoops {
  readonly #limit: number;
  readonly #minutes = new FairMap<Minute>(SERVICES_MAX);
  /** Minutes that were closed early: their services get more records and summaries. */
  readonly closedEarly = new Displaced();
  #closed: Aggregate[] = [];

  /** `limit`: records of one service per minute. `before`: the result of open() in the previous run; it is due at once. */
  constructor(limit: number, before: readonly StoredAggregate[] = []) {
    this.#limit = limit;
    this.#closed = before.map(restored);
  }

  /** The aggregates that due() has not returned yet, in stored form. */
  open(): StoredAggregate[] {
    const minutes = this.#minutes
      .members()
      .flatMap(({ value: { aggregated } }) => (aggregated === null ? [] : [aggregated]));
    return [...this.#closed, ...minutes].map(stored);
  }

  /** True if nothing is aggregated and no minute is open: due() has nothing to return. */
  get idle(): boolean {
    return this.#minutes.size === 0 && this.#closed.length === 0;
  }

  /** Adds a termination read at `nowMs` of a monotonic clock. True: it is aggregated. False: it gets a record. */
  add(termination: Candidate, nowMs: number): boolean {
    const minute = this.#minuteOf(termination, nowMs);
    minute.count += 1;
    if (minute.count <= this.#limit) return false;
    const before = minute.aggregated;
    const byCause = new Map(before?.byCause);
    byCause.set(termination.cause, (byCause.get(termination.cause) ?? 0) + 1);
    minute.aggregated = {
      key: termination.key,
      origin: termination.origin,
      startNs: minute.startNs,
      firstNs: before?.firstNs ?? termination.endedNs,
      lastNs: termination.endedNs,
      count: (before?.count ?? 0) + 1,
      byCause,
      executable: termination.executable,
      severity:
        before !== null && before.severity.number > termination.severity.number
          ? before.severity
          : termination.severity,
      resource: termination.resource,
    };
    return true;
  }

  /**
   * Reserves one of the minute's records for an event that is not a termination. False: half of them are used, and the rest is for
   * terminations.
   */
  reserve(event: Pick<Candidate, 'key' | 'origin' | 'endedNs'>, nowMs: number): boolean {
    const minute = this.#minuteOf(event, nowMs);
    if (minute.count >= this.#limit / 2) return false;
    minute.count += 1;
    return true;
  }

  /** The aggregates of minutes that are over at `nowMs`, each returned once. Infinity: all. */
  due(nowMs: number): Aggregate[] {
    for (const { key, value } of this.#minutes.members())
      if (nowMs - value.openedMs >= WINDOW_MS) this.#close(this.#minutes.delete(key));
    const closed = this.#closed;
    this.#closed = [];
    return closed;
  }

  #minuteOf({ key, origin, endedNs }: Pick<Candidate, 'key' | 'origin' | 'endedNs'>, nowMs: number): Minute {
    const open = this.#minutes.get(key);
    if (open !== undefined && endedNs - open.startNs < WINDOW_NS) return open;
    this.#close(this.#minutes.delete(key));
    const minute: Minute = { startNs: endedNs, openedMs: nowMs, count: 0, aggregated: null };
    const displaced = this.#minutes.set(key, origin, minute);
    if (displaced !== null) this.closedEarly.add(displaced.origin);
    this.#close(displaced);
    return minute;
  }

  #close(minute: Member<Minute> | null): void {
    if (minute?.value.aggregated) this.#closed.push(minute.value.aggregated);
  }
}
