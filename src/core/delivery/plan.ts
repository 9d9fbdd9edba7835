// SPDX-License-Identifier: Apache-2.0
// Which records the next request has, and what its answer means for them. Pure: io/otlp/deliver.ts sends, waits and settles.
//
// A record is rejected only for a reason that is proven to be its own (docs/decisions/0046): 400, 413 or INVALID_ARGUMENT to a request
// with it alone, or it cannot be encoded; or, for another answer that does not ask to try again, PROOF_ROUNDS rounds. A round sends the record several times in a
// row, alone; the target must accept another record directly before and directly after. A record that is not accepted alone is a suspect:
// it waits, and the others go past it.
import type { Failure, Outcome } from './outcome.ts';

/** Rounds until a suspect is rejected. */
export const PROOF_ROUNDS = 4;
/** Requests in the first round; each further round has one more. So a target that fails at regular intervals proves nothing. */
export const FIRST_ROUND_REQUESTS = 2;
/** The shortest wait between the first two rounds, as a multiple of the first back-off; it doubles. */
export const ROUND_WAIT_FACTOR = 10;
/** Beyond this number, the suspect that waits longest is sent like any other record again. */
export const SUSPECTS_MAX = 1_024;
/** Failures in a row before a request that the target asked to repeat is split, because a smaller one may pass. */
export const RETRIES_BEFORE_SPLIT = 4;

/** Accepted records after which larger requests are tried again. */
export const GROW_AFTER_RECORDS = 512;
/** Also when a record fails alone: then the number of records is not the cause. */
const UNLIMITED = Number.POSITIVE_INFINITY;

export const BACKOFF_MAX_MS = 30_000;
/** Shorter if no server can be reached: an attempt is cheap, and delivery resumes soon after an outage. */
export const BACKOFF_UNREACHED_MAX_MS = 5_000;
/** The longest Retry-After that is honoured. */
export const RETRY_AFTER_MAX_MS = 600_000;

export interface Plan<Row> {
  /** The batch in flight without what is settled, in order and in parts that have failed as a whole. */
  readonly parts: readonly (readonly Row[])[];
  /** In the order in which they became suspects. */
  readonly suspects: readonly Suspect<Row>[];
  /** Requests in a row that failed, without those of suspects. */
  readonly failures: number;
  /** Whether the target ever accepted a record. */
  readonly everAccepted: boolean;
  /** The last request was accepted, and no other was planned since. */
  readonly justAccepted: boolean;
  /** Records of one request. Finite: the target did not accept twice as many, but may accept these. */
  readonly recordsMax: number;
  /** Records that were accepted since recordsMax changed. */
  readonly acceptedSince: number;
}

/** A record that the target did not accept in a request of its own. */
export interface Suspect<Row> {
  readonly row: Row;
  readonly failure: Failure;
  /** When it became one, ms since 1970. */
  readonly sinceMs: number;
  /** Requests with this record alone. */
  readonly attempts: number;
  /** Requests with other records that the target accepted since. */
  readonly passed: number;
  /** Rounds that count. */
  readonly rounds: number;
  readonly stage: Stage;
  /** When it is sent again, in ms of the monotonic clock. */
  readonly dueMs: number;
}

type Stage =
  | { readonly kind: 'waiting' }
  /** In a round, with this many requests left. */
  | { readonly kind: 'round'; readonly left: number }
  /** The round has failed, and counts if the next request with other records is accepted. */
  | { readonly kind: 'unconfirmed' };

const WAITING: Stage = { kind: 'waiting' };

export type Step<Row> =
  | { readonly kind: 'send'; readonly plan: Plan<Row>; readonly rows: readonly Row[] }
  /** No part is left: take a batch from the queue. */
  | { readonly kind: 'take' }
  /** Nothing to send before that time; null: before a new record arrives. */
  | { readonly kind: 'idle'; readonly untilMs: number | null };

/** What an answer decides. */
export interface Decision<Row> {
  readonly plan: Plan<Row>;
  readonly accepted: readonly Row[];
  readonly rejected: readonly Pick<Suspect<Row>, 'row' | 'failure' | 'attempts'>[];
  /** The wait before any further request. */
  readonly waitMs: number;
}

/** `nowMs`: monotonic. `wallMs`: ms since 1970. `jitter`: random, 0 ≤ jitter < 1. `firstMs`: the first back-off. */
export interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
  readonly jitter: number;
  readonly firstMs: number;
}

export function newPlan<Row>(): Plan<Row> {
  const recordsMax = Number.POSITIVE_INFINITY;
  return {
    parts: [],
    suspects: [],
    failures: 0,
    everAccepted: false,
    justAccepted: false,
    recordsMax,
    acceptedSince: 0,
  };
}

/** The plan without records that are not to be sent. Between two requests only. */
export function without<Row>(plan: Plan<Row>, gone: ReadonlySet<Row>): Plan<Row> {
  const parts = plan.parts.map((rows) => rows.filter((row) => !gone.has(row))).filter(({ length }) => length > 0);
  return { ...plan, parts, suspects: plan.suspects.filter(({ row }) => !gone.has(row)) };
}

/** `waiting`: records in the queue. `closing`: suspects are left to the next start. */
export function nextStep<Row>(plan: Plan<Row>, waiting: number, closing: boolean, nowMs: number): Step<Row> {
  const suspects = closing ? [] : plan.suspects;
  const before = { ...plan, justAccepted: false };
  const inRound = suspects.find(({ stage }) => stage.kind === 'round');
  if (inRound !== undefined) return { kind: 'send', plan: before, rows: [inRound.row] };
  const due = suspects.filter(({ dueMs }) => dueMs <= nowMs);
  const ready = due.find(({ stage }) => stage.kind === 'waiting');
  if (plan.justAccepted && ready !== undefined) {
    const round: Stage = { kind: 'round', left: ready.rounds + FIRST_ROUND_REQUESTS };
    return { kind: 'send', plan: withSuspect(before, { ...ready, stage: round }), rows: [ready.row] };
  }
  const [part, ...rest] = plan.parts;
  if (part !== undefined) {
    const rows = part.slice(0, plan.recordsMax);
    const parts = rows.length < part.length ? [rows, part.slice(rows.length), ...rest] : plan.parts;
    return { kind: 'send', plan: { ...before, parts }, rows };
  }
  if (waiting > 0) return { kind: 'take' };
  // The one with the fewest attempts: each has its turn, because one of them may be refused for ever.
  const alone = due.toSorted((a, b) => a.attempts - b.attempts)[0];
  if (alone !== undefined) return { kind: 'send', plan: before, rows: [alone.row] };
  return { kind: 'idle', untilMs: suspects.length === 0 ? null : Math.min(...suspects.map(({ dueMs }) => dueMs)) };
}

/** What the answer to `rows`, which nextStep() returned, decides. */
export function decide<Row>(plan: Plan<Row>, rows: readonly Row[], outcome: Outcome, at: Moment): Decision<Row> {
  const suspect = plan.suspects.find(({ row }) => rows.length === 1 && row === rows[0]);
  if (outcome.kind !== 'success' && outcome.kind !== 'rejected')
    return suspect === undefined ? partFailed(plan, rows, outcome, at) : suspectFailed(plan, suspect, outcome, at);
  const rest: Plan<Row> =
    suspect === undefined
      ? { ...plan, parts: plan.parts.slice(1) }
      : { ...plan, suspects: plan.suspects.filter((one) => one !== suspect) };
  if (outcome.kind === 'success') {
    // A partial success of nothing accepts no record.
    const some = outcome.partial === null || outcome.partial.rejected < rows.length;
    const after = some ? accepted(grown(rest, rows.length), suspect !== undefined, at) : { plan: rest, rejected: [] };
    return { ...after, accepted: rows, waitMs: 0 };
  }
  if (rows.length > 1) return { plan: split(rest, rows), accepted: [], rejected: [], waitMs: 0 };
  const rejected = rows.map((row) => ({ row, failure: outcome, attempts: 1 }));
  return { plan: { ...rest, recordsMax: UNLIMITED }, accepted: [], rejected, waitMs: 0 };
}

/**
 * Another record was accepted: a failed round counts, and what failed during an outage need not wait any longer. `suspected`: that record
 * had been refused before, so the target refuses records for reasons of its own, and no round counts.
 */
function accepted<Row>(plan: Plan<Row>, suspected: boolean, at: Moment): Pick<Decision<Row>, 'plan' | 'rejected'> {
  const suspects = plan.suspects.map((one): Suspect<Row> => {
    const passed = one.passed + 1;
    if (suspected) return { ...one, passed, rounds: 0, stage: WAITING, dueMs: at.nowMs };
    if (one.stage.kind === 'unconfirmed') {
      const waitMs = Math.min(at.firstMs * ROUND_WAIT_FACTOR * 2 ** one.rounds, BACKOFF_MAX_MS);
      return { ...one, passed, rounds: one.rounds + 1, stage: WAITING, dueMs: at.nowMs + waitMs };
    }
    return { ...one, passed, dueMs: plan.failures > 0 && one.rounds === 0 ? at.nowMs : one.dueMs };
  });
  const isProven = ({ rounds }: Suspect<Row>): boolean => rounds === PROOF_ROUNDS;
  const left = suspects.filter((one) => !isProven(one));
  return {
    plan: { ...plan, suspects: left, failures: 0, everAccepted: true, justAccepted: true },
    rejected: suspects.filter(isProven),
  };
}

/** The target fails on records that are no suspects: a round that it would have to confirm does not count. */
function partFailed<Row>(plan: Plan<Row>, rows: readonly Row[], failure: Failure, at: Moment): Decision<Row> {
  const failures = plan.failures + 1;
  const waitMs = backOffMs(failure, plan.failures, plan.everAccepted, at);
  const before = plan.suspects.map(
    (one): Suspect<Row> => (one.stage.kind === 'unconfirmed' ? { ...one, rounds: 0, stage: WAITING } : one),
  );
  const after: Plan<Row> = { ...plan, failures, suspects: before };
  const decision = { accepted: [], rejected: [], waitMs };
  if (failure.kind === 'retryable' && (!failure.sent || failures < RETRIES_BEFORE_SPLIT))
    return { ...decision, plan: after };
  const rest = plan.parts.slice(1);
  if (rows.length > 1) return { ...decision, plan: split({ ...after, parts: rest }, rows) };
  const added = rows.map((row): Suspect<Row> => {
    const dueMs = at.nowMs + waitMs;
    return { row, failure, sinceMs: at.wallMs, attempts: 1, passed: 0, rounds: 0, stage: WAITING, dueMs };
  });
  const suspects = [...before, ...added];
  const excess = suspects.slice(0, Math.max(suspects.length - SUSPECTS_MAX, 0));
  const parts = [...excess.map(({ row }) => [row]), ...rest];
  return {
    ...decision,
    plan: { ...after, parts, suspects: suspects.slice(excess.length), recordsMax: UNLIMITED },
  };
}

/** Only an answer that does not ask to try again counts. */
function suspectFailed<Row>(plan: Plan<Row>, suspect: Suspect<Row>, failure: Failure, at: Moment): Decision<Row> {
  const attempts = suspect.attempts + 1;
  const dueMs = at.nowMs + backOffMs(failure, Math.max(suspect.attempts, plan.failures), plan.everAccepted, at);
  const after = { ...suspect, failure, attempts, dueMs, stage: stageAfter(suspect.stage, failure) };
  const decision = { accepted: [], rejected: [], waitMs: requestedMs(failure) };
  if (plan.failures === 0) return { ...decision, plan: withSuspect(plan, after) };
  // Nothing was accepted since other records failed, too: the target fails, and all suspects share one back-off.
  const suspects = plan.suspects.map((one) => ({ ...one, dueMs: Math.max(one.dueMs, dueMs) }));
  return { ...decision, plan: withSuspect({ ...plan, suspects }, after) };
}

function stageAfter(stage: Stage, failure: Failure): Stage {
  if (stage.kind !== 'round') return stage;
  if (failure.kind === 'retryable' || requestedMs(failure) > 0) return WAITING;
  return stage.left > 1 ? { kind: 'round', left: stage.left - 1 } : { kind: 'unconfirmed' };
}

function withSuspect<Row>(plan: Plan<Row>, suspect: Suspect<Row>): Plan<Row> {
  return { ...plan, suspects: plan.suspects.map((one) => (one.row === suspect.row ? suspect : one)) };
}

/** Puts the halves of a request that failed before the other parts. Further requests are no larger than a half. */
function split<Row>(plan: Plan<Row>, rows: readonly Row[]): Plan<Row> {
  const middle = rows.length >> 1;
  const parts = [rows.slice(0, middle), rows.slice(middle), ...plan.parts];
  return { ...plan, parts, recordsMax: middle, acceptedSince: 0 };
}

/** The target accepted these records: after enough of them, requests may be twice as large. */
function grown<Row>(plan: Plan<Row>, records: number): Plan<Row> {
  const acceptedSince = plan.acceptedSince + records;
  if (acceptedSince < GROW_AFTER_RECORDS) return { ...plan, acceptedSince };
  return { ...plan, recordsMax: plan.recordsMax * 2, acceptedSince: 0 };
}

/** The delay that the target requested, up to the limit. 0: none. */
export function requestedMs(failure: Failure): number {
  return 'afterMs' in failure ? Math.min(failure.afterMs ?? 0, RETRY_AFTER_MAX_MS) : 0;
}

/** Exponential back-off with full jitter, so that many hosts do not retry at the same time. `earlier`: failures before this one. */
function backOffMs(failure: Failure, earlier: number, everAccepted: boolean, { jitter, firstMs }: Moment): number {
  // A target that has accepted records has the right settings: its refusal may pass.
  if (failure.kind === 'misconfigured' && !everAccepted) return BACKOFF_MAX_MS * (0.5 + jitter / 2);
  const unreached = failure.kind === 'retryable' && !failure.reached;
  const max = unreached ? BACKOFF_UNREACHED_MAX_MS : BACKOFF_MAX_MS;
  return Math.max(jitter * Math.min(firstMs * 2 ** Math.min(earlier, 20), max), requestedMs(failure));
}
