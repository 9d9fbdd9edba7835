// SPDX-License-Identifier: Apache-2.0
// From records to the collector's yes: batches, retries for as long as it takes, and the acknowledgement to the loader only
// afterwards, in the order of the ring. What is pending here is bounded; beyond that the socket is not read and the kernel's
// ring is the queue. The disk queue will stand between submit() and the batch; the acknowledgement then follows its commit.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Log } from './log.ts';
import type { Outcome } from './otlp.ts';
import { sleep } from './sleep.ts';
import type { Stats } from './stats.ts';

/** Two batches: one under way, one that grows. More would only be memory (about 8 KB a record): the ring is the queue. */
export const PENDING_MAX = 1024;
export const BATCH_RECORDS_MAX = 512;
export const BATCH_DELAY_MS = 50;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;

/** One death on its way. `record` null: screened or seen before; only its place in the order matters. */
export interface Entry {
  readonly record: ReadableLogRecord | null;
  readonly seq: bigint;
  /** Told `seq` (or a later one) once everything before it and it itself are safe. */
  readonly connection: { ack(seq: bigint): void };
}

export interface DeliveryOptions {
  /** Sends a batch once. Never called twice at a time. */
  readonly send: (records: readonly ReadableLogRecord[]) => Promise<Outcome>;
  readonly onDelivered: (record: ReadableLogRecord) => void;
  readonly stats: Stats;
  readonly log: Log;
  /** The intake has ended: whoever waits for room is let go, and close() follows. */
  readonly signal: AbortSignal;
  /** For people: where the records go. */
  readonly target: string;
  readonly backoffFirstMs?: number;
}

/** The way out. `submit` in the order of the ring; `close` at the end. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #queue: { entry: Entry; at: number }[] = [];
  readonly #abort = new AbortController();
  #closing = false;
  /** Ends the wait for a batch to grow. */
  #endWait: () => void = () => {};
  #wake: () => void = () => {};
  #giveUp: () => void = () => {};
  #room: (() => void)[] = [];
  readonly #worker: Promise<void>;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#worker = this.#work();
    options.signal.addEventListener('abort', () => this.#makeRoom(), { once: true });
  }

  /** Takes an entry. Resolves when there is room for the next: a caller that awaits it is slowed down to the collector. */
  submit(entry: Entry): Promise<void> {
    this.#queue.push({ entry, at: performance.now() });
    this.#options.stats.pending = this.#queue.length;
    this.#wake();
    if (this.#queue.length >= BATCH_RECORDS_MAX) this.#endWait();
    if (this.#queue.length < PENDING_MAX || this.#options.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#room.push(resolve));
  }

  /** Delivers what is pending, but no longer than `timeoutMs`. The rest stays unacknowledged, thus in the kernel's ring. */
  async close(timeoutMs: number): Promise<{ left: number }> {
    this.#closing = true;
    this.#endWait();
    this.#wake();
    const timer = setTimeout(() => {
      this.#abort.abort();
      this.#giveUp();
    }, timeoutMs);
    await this.#worker;
    clearTimeout(timer);
    return { left: this.#queue.length };
  }

  async #work(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const head = this.#queue[0];
      if (head === undefined) {
        if (this.#closing) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (head.entry.record !== null) await this.#fill(head.at);
      const count = this.#batchEnd();
      const records: ReadableLogRecord[] = [];
      for (const { entry } of this.#queue.slice(0, count)) if (entry.record !== null) records.push(entry.record);
      if (records.length > 0 && !(await this.#deliver(records))) return;
      this.#release(count);
    }
  }

  /** Lets a batch grow until its oldest record has waited long enough, or it is full, or the end has come. */
  async #fill(since: number): Promise<void> {
    const wait = BATCH_DELAY_MS - (performance.now() - since);
    if (wait <= 0 || this.#closing || this.#queue.length >= BATCH_RECORDS_MAX) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#endWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** How many entries the next batch takes: those in front, with at most BATCH_RECORDS_MAX records among them. */
  #batchEnd(): number {
    let records = 0;
    for (const [index, { entry }] of this.#queue.entries()) {
      if (entry.record !== null) records += 1;
      if (records > BATCH_RECORDS_MAX) return index;
    }
    return this.#queue.length;
  }

  #release(count: number): void {
    const done = this.#queue.splice(0, count);
    this.#options.stats.pending = this.#queue.length;
    // An ack means everything up to and including it: one for each connection is enough.
    for (const [index, { entry }] of done.entries()) {
      if (done[index + 1]?.entry.connection !== entry.connection) entry.connection.ack(entry.seq);
    }
    if (this.#queue.length < PENDING_MAX) this.#makeRoom();
  }

  #makeRoom(): void {
    for (const resolve of this.#room.splice(0)) resolve();
  }

  /** True: every record was accepted, or refused for good and counted. False: given up at the end, nothing acknowledged. */
  async #deliver(records: readonly ReadableLogRecord[]): Promise<boolean> {
    const outcome = await this.#sendUntilJudged(records);
    if (outcome === null) return false;
    if (outcome.kind === 'success') {
      this.#accepted(records, outcome);
      return true;
    }
    const [only] = records;
    if (records.length > 1) {
      // One bad record must not take the others with it.
      for (const record of records) if (!(await this.#deliver([record]))) return false;
    } else if (only !== undefined) {
      this.#options.stats.rejected += 1;
      this.#options.log.seldom(
        'rejected',
        `${this.#options.target} refused a record for good (${outcome.reason}): ${String(only.body)}`,
      );
    }
    return true;
  }

  async #sendUntilJudged(
    records: readonly ReadableLogRecord[],
  ): Promise<Exclude<Outcome, { kind: 'retryable' }> | null> {
    const { stats, log, target } = this.#options;
    for (let attempt = 0; !this.#abort.signal.aborted; attempt += 1) {
      const outcome = await this.#sendOrGiveUp(records);
      if (outcome === null) return null;
      const state = stats.exports.logs;
      state.lastError = outcome.kind === 'success' ? null : outcome.reason;
      if (outcome.kind === 'success') state.lastSuccessMs = Date.now();
      if (outcome.kind !== 'retryable') {
        if (attempt > 0) log.line(`${target} answers again`);
        log.over('retry');
        return outcome;
      }
      log.seldom(
        'retry',
        `${target} does not take records (${outcome.reason}); ${this.#queue.length} wait, none is lost. Trying again.`,
      );
      const backoff = Math.min((this.#options.backoffFirstMs ?? BACKOFF_FIRST_MS) * 1.6 ** attempt, BACKOFF_MAX_MS);
      await sleep(backoff * (0.8 + Math.random() * 0.4), this.#abort.signal);
    }
    return null;
  }

  #sendOrGiveUp(records: readonly ReadableLogRecord[]): Promise<Outcome | null> {
    return new Promise((resolve, reject) => {
      this.#giveUp = () => resolve(null);
      this.#options.send(records).then(resolve, reject);
    });
  }

  #accepted(records: readonly ReadableLogRecord[], outcome: { refused: number; reason: string | null }): void {
    const { stats, log, target } = this.#options;
    // The collector does not say which ones it refused; it must not be asked again.
    const refused = Math.min(Math.max(outcome.refused, 0), records.length);
    stats.rejected += refused;
    stats.reported += records.length - refused;
    if (outcome.reason !== null) {
      log.seldom(
        'partial',
        `${target} refused ${refused} of ${records.length} records (partial success): ${outcome.reason}`,
      );
    }
    for (const record of records) this.#options.onDelivered(record);
  }
}
