// SPDX-License-Identifier: Apache-2.0
// Delivers the queue to the collector: one batch at a time, in order, retried until it is accepted or rejected. A rejected batch is
// halved until the bad record is found, so that no other record is lost with it. core/delivery/outcome.ts classifies failures; queue.ts
// stores records. All waits use the monotonic clock, so jumps of the wall clock do not change them.

import type { ExportState } from '../../core/delivery/export-state.ts';
import {
  describeFailure,
  describePartial,
  type Failure,
  type Outcome,
  type Reason,
  type Success,
} from '../../core/delivery/outcome.ts';
import { type Target, withoutCredentials } from '../../core/delivery/target.ts';
import type { Log } from '../log.ts';
import type { Queue } from '../queue/queue.ts';
import type { Rejection, Row } from '../queue/tables.ts';
import { sleep } from '../sleep.ts';

export const BATCH_RECORDS_MAX = 512;
/** Half of what a collector accepts in one gRPC message by default. */
export const BATCH_BYTES_MAX = 2 * 1024 * 1024;
/** How long a batch grows in a storm. Otherwise a record is sent at once. */
export const BATCH_DELAY_MS = 50;
/** A batch of at least this many records counts as a storm. */
const STORM_RECORDS = 32;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** Shorter if no server can be reached: an attempt is cheap, and delivery resumes soon after an outage. */
const BACKOFF_UNREACHED_MAX_MS = 5_000;
/** The longest Retry-After that is honoured. */
export const RETRY_AFTER_MAX_MS = 600_000;
/** A Retry-After of at least this length is stored, and holds after a restart. */
const POSTPONE_MIN_MS = 2_000;
/** How often a batch is retried after an ambiguous failure (HTTP 500, INTERNAL) before its records are treated as the cause. */
const AMBIGUOUS_ATTEMPTS_MAX = 5;
const AMBIGUOUS_ATTEMPTS_OF_PART_MAX = 1;

export interface DeliveryOptions {
  readonly queue: Queue;
  /** Sends a batch once. Calls do not overlap. Never rejects. */
  readonly send: (records: readonly Uint8Array[]) => Promise<Outcome>;
  /** Called for each accepted record. `endedMs`: when its process terminated, ms since 1970. */
  readonly onDelivered: (endedMs: number) => void;
  readonly log: Log;
  readonly target: Target;
  readonly backoffFirstMs?: number;
}

/** Settled: the batch is accepted or rejected. Unsettled: it is sent again. */
type Settled = Success | Extract<Failure, { kind: 'rejected' }>;
type Unsettled = Exclude<Failure, { kind: 'rejected' }>;

export class Delivery {
  readonly #options: DeliveryOptions;
  /** Shutdown in two steps: #closing ends the waits, #abort ends the requests. */
  readonly #closing = new AbortController();
  readonly #abort = new AbortController();
  #wake: () => void = () => {};
  readonly #worker: Promise<void>;
  /** The name of the target in log lines and in the queue. */
  readonly #name: string;
  #lastSuccessMs: number | null = null;
  #lastFailure: Failure | null = null;
  #nextAttemptMs: number | null = null;
  /** Records that the target rejected since the service started. */
  #rejected = 0;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#name = `the collector at ${withoutCredentials(options.target.endpoint)}`;
    this.#worker = this.#work();
  }

  snapshot(): ExportState {
    return {
      target: this.#options.target,
      lastSuccessMs: this.#lastSuccessMs,
      lastFailure: this.#lastFailure,
      nextAttemptMs: this.#nextAttemptMs,
      rejected: this.#rejected,
    };
  }

  /** Call when new records are in the queue. */
  wake(): void {
    this.#wake();
  }

  /** Delivers queued records until `timeoutMs` have passed or a batch is not accepted. The rest stays in the queue. */
  async close(timeoutMs: number): Promise<{ left: number }> {
    this.#closing.abort();
    this.#wake();
    const timer = setTimeout(() => this.#abort.abort(), timeoutMs);
    await this.#worker;
    clearTimeout(timer);
    return { left: this.#options.queue.pending };
  }

  async #work(): Promise<void> {
    const { queue } = this.#options;
    const closing = this.#closing.signal;
    if (!(await this.#waitForStoredRetry())) return;
    for (let storm = false, startedAt = 0; !this.#abort.signal.aborted; ) {
      if (queue.waiting === 0) {
        if (closing.aborted) return;
        await this.#woken(null);
        continue;
      }
      const grown = queue.waiting >= BATCH_RECORDS_MAX || closing.aborted;
      const rest = startedAt + BATCH_DELAY_MS - performance.now();
      if (storm && !grown && rest > 0) {
        await this.#woken(rest);
        continue;
      }
      startedAt = performance.now();
      const rows = queue.take(BATCH_RECORDS_MAX, BATCH_BYTES_MAX);
      storm = rows.length >= STORM_RECORDS;
      if (rows.length === 0) {
        // The disk could not be read.
        if (closing.aborted) return;
        await sleep(BACKOFF_FIRST_MS, closing);
      } else {
        const rejections = await this.#deliver(rows, AMBIGUOUS_ATTEMPTS_MAX);
        if (rejections === null) return;
        queue.settle(rejections);
      }
    }
  }

  /** Waits until the Retry-After that a previous run stored for this target. False: the service is shutting down. */
  async #waitForStoredRetry(): Promise<boolean> {
    const { retry } = this.#options.queue;
    if (retry === null || retry.target !== this.#name) return true;
    // The wall clock may have jumped, so the wait is limited.
    const ms = Math.min(retry.untilMs - Date.now(), RETRY_AFTER_MAX_MS);
    if (ms > 0) await sleep(ms, this.#closing.signal);
    return !this.#closing.signal.aborted;
  }

  /** Resolves on wake(), or after `ms`. */
  #woken(ms: number | null): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(resolve, ms);
      this.#wake = () => {
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Returns the rejections in the batch; null: it is not settled, because the service is shutting down. */
  async #deliver(rows: readonly Row[], ambiguousAttempts: number): Promise<Rejection[] | null> {
    const outcome = await this.#sendUntilSettled(rows, ambiguousAttempts);
    if (outcome === null) return null;
    if (outcome.kind === 'success') return this.#accepted(rows, outcome);
    const [only] = rows;
    if (rows.length > 1) {
      const middle = rows.length >> 1;
      const first = await this.#deliver(rows.slice(0, middle), AMBIGUOUS_ATTEMPTS_OF_PART_MAX);
      const second = first && (await this.#deliver(rows.slice(middle), AMBIGUOUS_ATTEMPTS_OF_PART_MAX));
      return first && second && [...first, ...second];
    }
    const reason = describeFailure(outcome);
    this.#rejected += 1;
    this.#options.log.rateLimited(
      'rejected',
      `${this.#name} rejected a record permanently (${reason}), ${this.#rejected} so far: run whodunit doctor to see the last ones.`,
    );
    return [{ count: 1, reason, record: only?.record ?? null }];
  }

  #accepted(rows: readonly Row[], { partial }: Success): Rejection[] {
    const { log, onDelivered } = this.#options;
    for (const { endedMs } of rows) onDelivered(endedMs);
    if (partial === null) return [];
    const count = Math.min(partial.rejected, rows.length);
    this.#rejected += count;
    log.rateLimited('partial', `${this.#name} ${describePartial(count, rows.length, 'records', partial.message)}`);
    // The collector does not name the records. None may be sent again.
    const record = rows.length === 1 ? (rows[0]?.record ?? null) : null;
    return count === 0 ? [] : [{ count, reason: `partial success: ${partial.message}`, record }];
  }

  /** Sends until the target accepts or rejects. null: not settled, because the service is shutting down. */
  async #sendUntilSettled(rows: readonly Row[], ambiguousAttempts: number): Promise<Settled | null> {
    const records = rows.map(({ record }) => record);
    for (let attempt = 0, ambiguous = 0; !this.#abort.signal.aborted; attempt += 1) {
      const answer = await this.#sendOrGiveUp(records);
      if (answer === null) return null;
      if (answer.kind === 'ambiguous') ambiguous += 1;
      this.#lastFailure = answer.kind === 'success' ? null : answer;
      const outcome = answer.kind === 'ambiguous' && ambiguous > ambiguousAttempts ? rejectedFor(answer) : answer;
      if (outcome.kind === 'success' || outcome.kind === 'rejected') return this.#settled(outcome, attempt);
      this.#logRetry(outcome);
      if (this.#closing.signal.aborted || !(await this.#backOff(outcome, attempt))) return null;
    }
    return null;
  }

  #settled(outcome: Settled, attempt: number): Settled {
    const { log } = this.#options;
    if (outcome.kind === 'success') {
      this.#lastSuccessMs = Date.now();
      if (attempt > 0) log.line(`${this.#name} accepts records again`);
    }
    log.reset('retry');
    this.#nextAttemptMs = null;
    return outcome;
  }

  #logRetry(failure: Unsettled): void {
    const { queue, log } = this.#options;
    const kept = `${queue.pending} records wait on disk, none is lost.`;
    const reason = describeFailure(failure);
    const text =
      failure.kind === 'misconfigured'
        ? `does not accept our logs (${reason}): check endpoint, path, protocol and credentials. ${kept}`
        : `does not accept records (${reason}); ${kept} Trying again.`;
    log.rateLimited('retry', `${this.#name} ${text}`);
  }

  /** Waits before the next attempt. False: there is none, because the service is shutting down and the server asked for a wait. */
  async #backOff(failure: Unsettled, attempt: number): Promise<boolean> {
    const { queue, backoffFirstMs = BACKOFF_FIRST_MS } = this.#options;
    const asked = failure.kind === 'misconfigured' ? 0 : Math.min(failure.afterMs ?? 0, RETRY_AFTER_MAX_MS);
    const ms = Math.max(waitMs(failure, attempt, backoffFirstMs), asked);
    this.#nextAttemptMs = Date.now() + ms;
    if (asked >= POSTPONE_MIN_MS) queue.postpone({ target: this.#name, untilMs: Date.now() + ms });
    await sleep(ms, this.#closing.signal);
    return !this.#closing.signal.aborted || asked === 0;
  }

  #sendOrGiveUp(records: readonly Uint8Array[]): Promise<Outcome | null> {
    const { signal } = this.#abort;
    return new Promise((resolve, reject) => {
      const giveUp = (): void => resolve(null);
      signal.addEventListener('abort', giveUp, { once: true });
      this.#options
        .send(records)
        .finally(() => signal.removeEventListener('abort', giveUp))
        .then(resolve, reject);
    });
  }
}

/** A server that keeps failing on these records is treated as rejecting them. */
function rejectedFor({ status, message }: Reason): Settled {
  return { kind: 'rejected', status, message };
}

/** Exponential back-off with full jitter, so that many hosts do not retry at the same time. */
function waitMs(failure: Unsettled, attempt: number, firstMs: number): number {
  if (failure.kind === 'misconfigured') return BACKOFF_MAX_MS * (0.5 + Math.random() / 2);
  const unreached = failure.kind === 'retryable' && !failure.reached;
  const max = unreached ? BACKOFF_UNREACHED_MAX_MS : BACKOFF_MAX_MS;
  return Math.random() * Math.min(firstMs * 2 ** Math.min(attempt, 20), max);
}
