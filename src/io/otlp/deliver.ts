// SPDX-License-Identifier: Apache-2.0
// Delivers the queue to the collector: one request at a time, as core/delivery/plan.ts plans them, and settles what it decides.
// core/delivery/outcome.ts classifies answers; queue.ts stores records. All waits use the monotonic clock, so jumps of the wall clock do
// not change them.

import { lostIn as lostInStage } from '../../core/counters.ts';
import type { LogsState } from '../../core/delivery/export-state.ts';
import {
  describeFailure,
  describePartial,
  type Failure,
  type Outcome,
  type Success,
} from '../../core/delivery/outcome.ts';
import {
  type Decision,
  decide,
  newPlan,
  nextStep,
  type Plan,
  RETRY_AFTER_MAX_MS,
  requestedMs,
  type Step,
  without,
} from '../../core/delivery/plan.ts';
import { type Target, withoutCredentials } from '../../core/delivery/target.ts';
import type { Log } from '../log.ts';
import type { Purged, Queue } from '../queue/queue.ts';
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
/** The wait before the queue is read again if the disk cannot be read. */
const DISK_RETRY_MS = 500;
/** A Retry-After of at least this length is stored, and holds after a restart. */
const POSTPONE_MIN_MS = 2_000;

export interface DeliveryOptions {
  readonly queue: Queue;
  /** Sends a batch once. Calls do not overlap. Never rejects. */
  readonly send: (records: readonly Uint8Array[]) => Promise<Outcome>;
  /** Called for each accepted record. `endedMs`: when its process terminated, ms since 1970. */
  readonly onDelivered: (endedMs: number) => void;
  /** Called with the collector's answer for records: accepted, perhaps with a remark, or rejected. */
  readonly onAnswered?: (rows: readonly Row[], state: 'delivered' | 'rejected', reason?: string) => void;
  readonly log: Log;
  readonly target: Target;
  readonly backoffFirstMs?: number;
}

export class Delivery {
  readonly #options: DeliveryOptions;
  /** Shutdown in two steps: #closing ends the waits, #abort ends the requests. */
  readonly #closing = new AbortController();
  readonly #abort = new AbortController();
  #wake: () => void = () => {};
  readonly #worker: Promise<void>;
  /** The name of the target in log lines and in the queue. */
  readonly #name: string;
  #plan: Plan<Row> = newPlan();
  /** The last batch was a storm; when its growth began, in ms of the monotonic clock. */
  #storm = false;
  #isSending = false;
  #startedAt = 0;
  #lastSuccessMs: number | null = null;
  #lastFailure: Failure | null = null;
  #nextAttemptMs: number | null = null;
  /** Records that the target rejected since the service started. */
  #rejected = 0;
  /** Records that the queue had lost when the service started. */
  readonly #lostBefore: number;
  /** A failure was logged, and no request was accepted since. */
  #failureLogged = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#name = `the collector at ${withoutCredentials(options.target.endpoint)}`;
    this.#lostBefore = lostIn(options.queue);
    this.#worker = this.#work();
  }

  snapshot(): LogsState {
    const { suspects } = this.#plan;
    return {
      target: this.#options.target,
      lastSuccessMs: this.#lastSuccessMs,
      lastFailure: this.#lastFailure,
      nextAttemptMs: this.#nextAttemptMs,
      rejected: this.#rejected,
      suspects: suspects.map(({ row, ...suspect }) => ({ ...suspect, record: row.record })),
    };
  }

  /** Call when new records are in the queue. */
  wake(): void {
    this.#wake();
  }

  /** Removes records before they are sent. Returns how many; null: not now, because a request is on its way, which may have them. */
  purge(wanted: Purged): number | null {
    if (this.#isSending || this.#closing.signal.aborted) return null;
    const rows = this.#options.queue.purge(wanted);
    this.#plan = without(this.#plan, new Set(rows));
    return rows.length;
  }

  /** Delivers queued records until `timeoutMs` have passed or a request fails. The rest stays in the queue. */
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
    while (!this.#abort.signal.aborted) {
      const step = nextStep(this.#plan, queue.waiting, closing.aborted, performance.now());
      switch (step.kind) {
        case 'send':
          if (!(await this.#send(step))) return;
          break;
        case 'take':
          if (!(await this.#take())) return;
          break;
        case 'idle':
          if (closing.aborted) return;
          this.#nextAttemptMs = step.untilMs === null ? null : Date.now() + step.untilMs - performance.now();
          await this.#woken(step.untilMs === null ? null : step.untilMs - performance.now());
      }
    }
  }

  /** Waits until the Retry-After that a previous run stored for this target. False: the service is shutting down. */
  async #waitForStoredRetry(): Promise<boolean> {
    const { retry } = this.#options.queue;
    // Release 0.1.0 stored the endpoint with its credentials.
    if (retry === null || withoutCredentials(retry.target) !== this.#name) return true;
    // The wall clock may have jumped, so the wait is limited.
    const ms = Math.min(retry.untilMs - Date.now(), RETRY_AFTER_MAX_MS);
    if (ms > 0) await sleep(ms, this.#closing.signal);
    return !this.#closing.signal.aborted;
  }

  /** Resolves on wake(), or after `ms`. */
  #woken(ms: number | null): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === null ? null : setTimeout(resolve, Math.max(ms, 1));
      this.#wake = () => {
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Plans the next batch of the queue. In a storm it lets the batch grow first. False: shutting down, and the disk cannot be read. */
  async #take(): Promise<boolean> {
    const { queue } = this.#options;
    const closing = this.#closing.signal;
    const grown = queue.waiting >= BATCH_RECORDS_MAX || closing.aborted;
    const restMs = this.#startedAt + BATCH_DELAY_MS - performance.now();
    if (this.#storm && !grown && restMs > 0) {
      await this.#woken(restMs);
      return true;
    }
    this.#startedAt = performance.now();
    const rows = queue.take(BATCH_RECORDS_MAX, BATCH_BYTES_MAX);
    this.#storm = rows.length >= STORM_RECORDS;
    if (rows.length > 0) this.#plan = { ...this.#plan, parts: [rows] };
    else if (closing.aborted) return false;
    else await sleep(DISK_RETRY_MS, closing);
    return true;
  }

  /** Sends a request, settles what its answer decides, and waits. False: shutting down, and nothing more is to be sent. */
  async #send({ plan, rows }: Extract<Step<Row>, { kind: 'send' }>): Promise<boolean> {
    const { queue, backoffFirstMs = BACKOFF_FIRST_MS } = this.#options;
    const closing = this.#closing.signal;
    this.#isSending = true;
    const outcome = await this.#sendOrGiveUp(rows.map(({ record }) => record));
    if (outcome === null) return false;
    this.#isSending = false;
    const decision = decide(plan, rows, outcome, {
      nowMs: performance.now(),
      wallMs: Date.now(),
      jitter: Math.random(),
      firstMs: backoffFirstMs,
    });
    const passed = plan.suspects.find(({ row }) => row === rows[0])?.passed ?? 0;
    this.#plan = decision.plan;
    this.#settle(decision, outcome);
    if (outcome.kind === 'success' || outcome.kind === 'rejected') return true;
    const unreached = outcome.kind === 'retryable' && !outcome.reached;
    if (passed === 0 || unreached || this.#lastFailure !== null) this.#failed(outcome);
    else this.#logSuspect(outcome);
    const { waitMs } = decision;
    const requested = requestedMs(outcome);
    if (waitMs > 0) this.#nextAttemptMs = Date.now() + waitMs;
    if (requested >= POSTPONE_MIN_MS) queue.postpone({ target: this.#name, untilMs: Date.now() + waitMs });
    if (closing.aborted) return false;
    await sleep(waitMs, closing);
    return !closing.aborted || requested === 0;
  }

  #settle({ accepted, rejected }: Decision<Row>, outcome: Outcome): void {
    const { log, queue } = this.#options;
    const rejections = rejected.map((one) => this.#reject(one));
    if (outcome.kind === 'success') {
      this.#lastSuccessMs = Date.now();
      this.#lastFailure = null;
      this.#nextAttemptMs = null;
      rejections.push(...this.#accept(accepted, outcome));
      if (this.#failureLogged) log.line(`${this.#name} accepts records again`);
      this.#failureLogged = false;
    }
    if (outcome.kind === 'rejected') this.#lastFailure = outcome;
    const rows = [...accepted, ...rejected.map(({ row }) => row)];
    if (rows.length > 0) queue.settle(rejections, rows);
  }

  #reject({ row, failure, attempts }: Decision<Row>['rejected'][number]): Rejection {
    const proof = failure.kind === 'rejected' ? '' : `, ${attempts} times alone, while it accepted other records`;
    const reason = `${describeFailure(failure)}${proof}`;
    this.#rejected += 1;
    this.#options.onAnswered?.([row], 'rejected', reason);
    this.#options.log.rateLimited(
      'rejected',
      `${this.#name} rejected a record permanently (${reason}), ${this.#rejected} so far: run whodunit doctor to see the last ones.`,
    );
    return { count: 1, reason, record: row.record };
  }

  #accept(rows: readonly Row[], { partial }: Success): Rejection[] {
    const { log, onDelivered, onAnswered } = this.#options;
    const count = Math.min(partial?.rejected ?? 0, rows.length);
    if (count < rows.length) for (const { endedMs } of rows) onDelivered(endedMs);
    if (partial === null) onAnswered?.(rows, 'delivered');
    if (partial === null) return [];
    this.#rejected += count;
    const remark = describePartial(count, rows.length, 'records', partial.message);
    onAnswered?.(rows, count > 0 && count === rows.length ? 'rejected' : 'delivered', remark);
    log.rateLimited('partial', `${this.#name} ${remark}`);
    // The collector does not name the records. None may be sent again.
    const record = rows.length === 1 ? (rows[0]?.record ?? null) : null;
    return count === 0 ? [] : [{ count, reason: `partial success: ${partial.message}`, record }];
  }

  #failed(failure: Failure): void {
    const { queue, log } = this.#options;
    this.#lastFailure = failure;
    const lost = lostIn(queue) - this.#lostBefore;
    const kept =
      lost === 0
        ? `${queue.pending} records wait on disk, none is lost.`
        : `${queue.pending} records wait on disk; ${lost} were lost since the start of the service: run whodunit doctor to see why.`;
    const reason = describeFailure(failure);
    const text =
      failure.kind === 'misconfigured'
        ? `does not accept our logs (${reason}): check endpoint, path, protocol and credentials. ${kept}`
        : `does not accept records (${reason}); ${kept} Trying again.`;
    if (log.rateLimited('retry', `${this.#name} ${text}`)) this.#failureLogged = true;
  }

  /** The target accepts other records, but not a suspect. */
  #logSuspect(failure: Failure): void {
    const { length } = this.#plan.suspects;
    this.#options.log.rateLimited(
      'suspects',
      `${this.#name} accepts other records, but not ${length} of them (${describeFailure(failure)}): they wait on disk and are tried again; /status shows them.`,
    );
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

/** Records that the queue or the target lost, since the queue exists. */
function lostIn({ totals }: Queue): number {
  return lostInStage(totals, 'queue') + lostInStage(totals, 'export');
}
