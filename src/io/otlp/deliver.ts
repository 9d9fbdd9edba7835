// SPDX-License-Identifier: Apache-2.0
// From the queue to the collector's yes: one batch at a time, in order, tried again for as long as it takes. A refused batch is
// halved until the bad record is found, so that it takes no other with it. What a failure means is left to core/outcome.ts, what is
// kept to queue.ts. All waits are of the monotonic clock: a wall clock that jumps moves none of them.
import { withoutCredentials } from '../../core/delivery/diagnose.ts';
import type { ExportState } from '../../core/delivery/export-state.ts';
import type { Outcome } from '../../core/delivery/outcome.ts';
import type { Target } from '../../core/delivery/target.ts';
import type { Log } from '../log.ts';
import type { Queue } from '../queue/queue.ts';
import type { Rejection, Row } from '../queue/tables.ts';
import { sleep } from '../sleep.ts';

export const BATCH_RECORDS_MAX = 512;
/** Half of what a collector takes in one gRPC message by default. */
export const BATCH_BYTES_MAX = 2 * 1024 * 1024;
/** In a storm a batch grows for so long. Where it is quiet a record leaves at once. */
export const BATCH_DELAY_MS = 50;
/** A batch of so many records was a storm's. */
const STORM_RECORDS = 32;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** Nobody listens: asking costs nothing, and the end of an outage is to be noticed soon. */
const BACKOFF_UNREACHED_MAX_MS = 5_000;
/** The longest Retry-After that is honoured. */
export const RETRY_AFTER_MAX_MS = 600_000;
/** A longer wait that a server asked for outlives the service. */
const POSTPONE_MIN_MS = 2_000;
/** So often a batch is sent again that a server fails on (HTTP 500, INTERNAL) before the records are taken for the reason. */
const DOUBTFUL_ATTEMPTS_MAX = 5;
const DOUBTFUL_ATTEMPTS_OF_PART_MAX = 1;

export interface DeliveryOptions {
  readonly queue: Queue;
  /** Sends a batch once. Never called twice at a time, never rejects. */
  readonly send: (records: readonly Uint8Array[]) => Promise<Outcome>;
  /** Of each record that was accepted: when its process ended, ms since 1970. */
  readonly onDelivered: (endedMs: number) => void;
  readonly log: Log;
  readonly target: Target;
  readonly backoffFirstMs?: number;
}

/** What became of a batch: those refused for good; the others were accepted. */
type Judged = Rejection[];

export class Delivery {
  readonly #options: DeliveryOptions;
  /** The end has come: no more waits; and then: no more sending. */
  readonly #closing = new AbortController();
  readonly #abort = new AbortController();
  #wake: () => void = () => {};
  readonly #worker: Promise<void>;
  /** The target in a log line and in the queue. */
  readonly #name: string;
  #lastSuccessMs: number | null = null;
  #lastError: string | null = null;
  #nextAttemptMs: number | null = null;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#name = `the collector at ${withoutCredentials(options.target.endpoint)}`;
    this.#worker = this.#work();
  }

  snapshot(): ExportState {
    return {
      target: this.#options.target,
      lastSuccessMs: this.#lastSuccessMs,
      lastError: this.#lastError,
      nextAttemptMs: this.#nextAttemptMs,
    };
  }

  /** The queue has got something. */
  wake(): void {
    this.#wake();
  }

  /** Delivers what waits, but no longer than `timeoutMs`, and no longer than it is taken. The rest stays in the queue. */
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
    if (!(await this.#waitAsAgreed())) return;
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
        // The disk cannot be read at the moment.
        if (closing.aborted) return;
        await sleep(BACKOFF_FIRST_MS, closing);
      } else {
        const rejections = await this.#deliver(rows, DOUBTFUL_ATTEMPTS_MAX);
        if (rejections === null) return;
        queue.settle(rejections);
      }
    }
  }

  /** A server that asked the service before this one for patience is given it, where it is the same. False: the end has come. */
  async #waitAsAgreed(): Promise<boolean> {
    const { retry } = this.#options.queue;
    if (retry === null || retry.target !== this.#name) return true;
    // The wall clock may have jumped: never longer than what is ever agreed to.
    const ms = Math.min(retry.untilMs - Date.now(), RETRY_AFTER_MAX_MS);
    if (ms > 0) await sleep(ms, this.#closing.signal);
    return !this.#closing.signal.aborted;
  }

  /** Resolves on wake(), or after so many ms. */
  #woken(ms: number | null): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(resolve, ms);
      this.#wake = () => {
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });
  }

  /** null: given up at the end. */
  async #deliver(rows: readonly Row[], doubtfulAttempts: number): Promise<Judged | null> {
    const outcome = await this.#sendUntilJudged(rows, doubtfulAttempts);
    if (outcome === null) return null;
    if (outcome.kind === 'success') return this.#accepted(rows, outcome);
    const [only] = rows;
    if (rows.length > 1) {
      const middle = rows.length >> 1;
      const first = await this.#deliver(rows.slice(0, middle), DOUBTFUL_ATTEMPTS_OF_PART_MAX);
      const second = first && (await this.#deliver(rows.slice(middle), DOUBTFUL_ATTEMPTS_OF_PART_MAX));
      return first && second && [...first, ...second];
    }
    this.#options.log.rateLimited(
      'rejected',
      `${this.#name} refused a record for good (${outcome.reason}): whodunit doctor shows the last ones.`,
    );
    return [{ count: 1, reason: outcome.reason, record: only?.record ?? null }];
  }

  #accepted(rows: readonly Row[], outcome: { refused: number; reason: string | null }): Judged {
    const { log, onDelivered } = this.#options;
    for (const { endedMs } of rows) onDelivered(endedMs);
    if (outcome.reason === null) return [];
    const count = Math.min(Math.max(outcome.refused, 0), rows.length);
    log.rateLimited(
      'partial',
      `${this.#name} refused ${count} of ${rows.length} records (partial success): ${outcome.reason}`,
    );
    // The collector does not say which ones; none may be sent again.
    const record = rows.length === 1 ? (rows[0]?.record ?? null) : null;
    return count === 0 ? [] : [{ count, reason: `partial success: ${outcome.reason}`, record }];
  }

  async #sendUntilJudged(
    rows: readonly Row[],
    doubtfulAttempts: number,
  ): Promise<Extract<Outcome, { kind: 'success' | 'permanent' }> | null> {
    const { queue, log } = this.#options;
    const records = rows.map(({ record }) => record);
    for (let attempt = 0, doubts = 0; !this.#abort.signal.aborted; attempt += 1) {
      const outcome = await this.#sendOrGiveUp(records);
      if (outcome === null) return null;
      this.#lastError = outcome.kind === 'success' ? null : outcome.reason;
      if (outcome.kind === 'success') this.#lastSuccessMs = Date.now();
      if (outcome.kind === 'retryable' && outcome.doubtful) doubts += 1;
      const judged = outcome.kind === 'retryable' && doubts > doubtfulAttempts ? condemned(outcome.reason) : outcome;
      if (judged.kind === 'success' || judged.kind === 'permanent') {
        if (attempt > 0 && judged.kind === 'success') log.line(`${this.#name} answers again`);
        log.reset('retry');
        this.#nextAttemptMs = null;
        return judged;
      }
      const kept = `${queue.pending} records wait on disk, none is lost.`;
      if (judged.kind === 'unwilling')
        log.rateLimited(
          'retry',
          `${this.#name} does not take logs from us (${judged.reason}): check endpoint, path, protocol and credentials. ${kept}`,
        );
      else log.rateLimited('retry', `${this.#name} does not take records (${judged.reason}); ${kept} Trying again.`);
      if (this.#closing.signal.aborted || !(await this.#backOff(judged, attempt))) return null;
    }
    return null;
  }

  /** Waits before the next attempt. False: there is to be none, since the end has come and the server wants to be left alone. */
  async #backOff(outcome: Extract<Outcome, { kind: 'retryable' | 'unwilling' }>, attempt: number): Promise<boolean> {
    const { queue, backoffFirstMs = BACKOFF_FIRST_MS } = this.#options;
    const asked = Math.min((outcome.kind === 'retryable' && outcome.afterMs) || 0, RETRY_AFTER_MAX_MS);
    const ms = Math.max(waitMs(outcome, attempt, backoffFirstMs), asked);
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

function condemned(reason: string): Outcome & { kind: 'permanent' } {
  return { kind: 'permanent', reason };
}

/** Exponential with full jitter, so that many hosts do not come back together. */
function waitMs(
  outcome: Extract<Outcome, { kind: 'retryable' | 'unwilling' }>,
  attempt: number,
  firstMs: number,
): number {
  if (outcome.kind === 'unwilling') return BACKOFF_MAX_MS * (0.5 + Math.random() / 2);
  const max = outcome.reached ? BACKOFF_MAX_MS : BACKOFF_UNREACHED_MAX_MS;
  return Math.random() * Math.min(firstMs * 2 ** Math.min(attempt, 20), max);
}
