// SPDX-License-Identifier: Apache-2.0
// A service in a crash loop gets a limited number of records per minute. Further terminations in that minute are aggregated into one
// summary with exact counts. Time is an argument. telemetry/summary.ts builds the record of the summary.
import { Displaced, FairMap, type OriginKey } from '../shares.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import { SECOND_NS } from '../time.ts';
import type { Cause } from '../verdict/verdict.ts';

export const WINDOW_MS = 60_000;
const WINDOW_NS = 60n * SECOND_NS;
/** A minute of which some are counted in the kernel stays open for longer: their total arrives at most a second after it is over. */
export const LATE_MS = 3_000;
/** Maximum number of services with an open minute. Beyond it, the oldest minute of the origin that has most is closed early. */
export const SERVICES_MAX = 1024;
/** Maximum number of senders that one summary names; terminations by further ones are in its count. */
export const SENDERS_MAX = 10;

/** What counters and summaries need of one termination. */
export interface Candidate {
  /** The service: terminations with the same key share a minute. */
  readonly key: string;
  readonly origin: OriginKey;
  /** Kernel timestamp, ns since 1970. It decides the minute, so that a backlog is aggregated as if it had been read in time. */
  readonly endedNs: bigint;
  readonly cause: Cause;
  /** The path. null: not known. */
  readonly executable: string | null;
  /** The name of the process that sent the signal. null: none, or not known. */
  readonly sender: string | null;
  readonly severity: { readonly number: number; readonly text: string };
  /** The command line, as WHODUNIT_ARGUMENTS allows. null: not known, or not shown. Finding secrets takes time: called for an example. */
  readonly command: () => string | null;
  readonly cgroup: string | null;
  /** The part of the victim's resource that they have. A record has the whole resource. */
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
  readonly bySender: ReadonlyMap<string, number>;
  /** The highest severity among them. */
  readonly severity: Candidate['severity'];
  /** Of the first one. */
  readonly command: string | null;
  /** Of the last one, like the resource. */
  readonly cgroup: string | null;
  readonly resource: Attributes;
}

/** `Aggregate` without bigint and Map. */
export interface StoredAggregate
  extends Omit<
    Aggregate,
    'origin' | 'executable' | 'command' | 'cgroup' | 'startNs' | 'firstNs' | 'lastNs' | 'byCause' | 'bySender'
  > {
  /** Absent: stored by version 0.1.0, like the next one. */
  readonly origin?: OriginKey;
  readonly executable?: string | null;
  readonly startNs: string;
  readonly firstNs: string;
  readonly lastNs: string;
  readonly byCause: readonly (readonly [Cause, number])[];
  /** Absent: stored by an earlier release. */
  readonly bySender?: readonly (readonly [string, number])[];
  /** Absent: stored by version 0.1.0, like the next one. */
  readonly command?: string | null;
  readonly cgroup?: string | null;
}

function stored({ startNs, firstNs, lastNs, byCause, bySender, ...rest }: Aggregate): StoredAggregate {
  const times = { startNs: String(startNs), firstNs: String(firstNs), lastNs: String(lastNs) };
  return { ...rest, ...times, byCause: [...byCause], bySender: [...bySender] };
}

function restored(one: StoredAggregate): Aggregate {
  const { origin = '', executable = null, command = null, cgroup = null } = one;
  const { startNs, firstNs, lastNs, byCause, bySender, ...rest } = one;
  const times = { startNs: BigInt(startNs), firstNs: BigInt(firstNs), lastNs: BigInt(lastNs) };
  return {
    ...rest,
    ...times,
    origin,
    executable,
    command,
    cgroup,
    byCause: new Map(byCause),
    bySender: new Map(bySender),
  };
}

interface Minute {
  readonly startNs: bigint;
  readonly openedMs: number;
  count: number;
  aggregated: Aggregate | null;
  /** Terminations in it are counted in the kernel. */
  counted: boolean;
}

export class CrashLoops {
  readonly #limit: number;
  readonly #minutes = new FairMap<Minute>(SERVICES_MAX);
  /** Minutes that were closed early: their services get more records and summaries. */
  readonly closedEarly = new Displaced();
  /** Minutes that are over, while totals of the kernel may still arrive. */
  #late: Minute[] = [];
  #closed: Aggregate[] = [];
  /** So that an aggregate that has not changed is the same object in stored form. */
  readonly #stored = new WeakMap<Aggregate, StoredAggregate>();

  /** `limit`: records of one service per minute. `before`: the result of open() in the previous run; it is due at once. */
  constructor(limit: number, before: readonly StoredAggregate[] = []) {
    this.#limit = limit;
    this.#closed = before.map(restored);
  }

  /** Every termination that a rule reports has a record. */
  get unlimited(): boolean {
    return this.#limit === Number.POSITIVE_INFINITY;
  }

  /** The aggregates that due() has not returned yet, in stored form: one that has not changed since is the same object. */
  open(): StoredAggregate[] {
    const minutes = this.#minutes.members().map(({ value }) => value);
    const aggregates = [...this.#late, ...minutes].flatMap(({ aggregated }) =>
      aggregated === null ? [] : [aggregated],
    );
    return [...this.#closed, ...aggregates].map((one) => this.#storedForm(one));
  }

  #storedForm(one: Aggregate): StoredAggregate {
    const form = this.#stored.get(one) ?? stored(one);
    this.#stored.set(one, form);
    return form;
  }

  /** True if nothing is aggregated and no minute is open: due() has nothing to return. */
  get idle(): boolean {
    return this.#minutes.size === 0 && this.#late.length === 0 && this.#closed.length === 0;
  }

  /** Adds a termination read at `nowMs` of a monotonic clock. True: it is aggregated. False: it gets a record. */
  add(termination: Candidate, nowMs: number): boolean {
    const minute = this.#minuteOf(termination, nowMs);
    minute.count += 1;
    if (minute.count <= this.#limit) return false;
    aggregate(minute, termination, 1, termination.endedNs);
    return true;
  }

  /** When the open minute of a service is over, ns since 1970, if the kernel counts its further terminations until then. */
  countUntil(key: string): bigint {
    const minute = this.#minutes.get(key);
    if (minute === undefined) return 0n;
    minute.counted = true;
    return minute.startNs + WINDOW_NS;
  }

  /** Adds terminations that the kernel counted: the last one, their number, and when the first one was at the earliest. */
  addCounted(last: Candidate, count: number, firstNs: bigint, nowMs: number): void {
    const { key, endedNs } = last;
    const late = this.#late.find((one) => one.aggregated?.key === key && endedNs - one.startNs < WINDOW_NS);
    const minute = late ?? this.#minuteOf(last, nowMs);
    minute.count += count;
    aggregate(minute, last, count, firstNs);
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
    for (const { key, value } of this.#minutes.members()) {
      if (!isOver(value, nowMs)) continue;
      this.#minutes.delete(key);
      this.#return(value);
    }
    for (const minute of this.#late) if (isOver(minute, nowMs)) this.#return(minute);
    this.#late = this.#late.filter((minute) => !isOver(minute, nowMs));
    const closed = this.#closed;
    this.#closed = [];
    return closed;
  }

  #minuteOf({ key, origin, endedNs }: Pick<Candidate, 'key' | 'origin' | 'endedNs'>, nowMs: number): Minute {
    const open = this.#minutes.get(key);
    if (open !== undefined && endedNs - open.startNs < WINDOW_NS) return open;
    this.#minutes.delete(key);
    if (open?.counted && this.#late.length < SERVICES_MAX) this.#late.push(open);
    else if (open !== undefined) this.#return(open);
    const minute: Minute = { startNs: endedNs, openedMs: nowMs, count: 0, aggregated: null, counted: false };
    const displaced = this.#minutes.set(key, origin, minute);
    if (displaced !== null) {
      this.closedEarly.add(displaced.origin);
      this.#return(displaced.value);
    }
    return minute;
  }

  #return({ aggregated }: Minute): void {
    if (aggregated !== null) this.#closed.push(aggregated);
  }
}

function isOver({ openedMs, counted }: Minute, nowMs: number): boolean {
  return nowMs - openedMs >= (counted ? WINDOW_MS + LATE_MS : WINDOW_MS);
}

/** Adds `count` terminations, of which this one is the last. */
function aggregate(minute: Minute, last: Candidate, count: number, firstNs: bigint): void {
  const before = minute.aggregated;
  const byCause = new Map(before?.byCause);
  byCause.set(last.cause, (byCause.get(last.cause) ?? 0) + count);
  const bySender = new Map(before?.bySender);
  const { sender } = last;
  if (sender !== null && (bySender.has(sender) || bySender.size < SENDERS_MAX))
    bySender.set(sender, (bySender.get(sender) ?? 0) + count);
  minute.aggregated = {
    key: last.key,
    origin: last.origin,
    startNs: minute.startNs,
    firstNs: before?.firstNs ?? firstNs,
    lastNs: last.endedNs,
    count: (before?.count ?? 0) + count,
    byCause,
    bySender,
    executable: last.executable,
    command: before === null ? last.command() : before.command,
    cgroup: last.cgroup,
    severity: before !== null && before.severity.number > last.severity.number ? before.severity : last.severity,
    resource: last.resource,
  };
}
