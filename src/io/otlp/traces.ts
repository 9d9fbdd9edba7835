// SPDX-License-Identifier: Apache-2.0
// Sends spans to a backend with the official exporters, which retry for a few seconds. A span repeats a record, so spans are queued only
// in memory, up to a limit; dropped spans are counted and logged. Only records are stored on disk (docs/decisions/0029).
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { TracesState } from '../../core/delivery/export-state.ts';
import { describeFailure, describePartial, type Failure, type Outcome } from '../../core/delivery/outcome.ts';
import { type Target, withoutCredentials } from '../../core/delivery/target.ts';
import { Displaced, FairMap, type OriginKey } from '../../core/shares.ts';
import type { Log } from '../log.ts';
import { exportOnce } from './exchange.ts';

export const SPANS_MAX = 2048;
const BATCH_SPANS_MAX = 512;
const BATCH_DELAY_MS = 200;

export interface TracesOptions {
  readonly exporter: SpanExporter;
  readonly log: Log;
  readonly target: Target;
}

export class Traces {
  readonly #options: TracesOptions;
  /** The name of the target in log lines. */
  readonly #name: string;
  readonly #waiting = new FairMap<ReadableSpan>(SPANS_MAX);
  /** Spans that were dropped because too many waited. */
  readonly displaced = new Displaced();
  #submitted = 0;
  #timer: NodeJS.Timeout | null = null;
  #sending: Promise<void> | null = null;
  #lastSuccessMs: number | null = null;
  #lastFailure: Failure | null = null;
  #rejected = 0;
  #dropped = 0;

  constructor(options: TracesOptions) {
    this.#options = options;
    this.#name = `the backend at ${withoutCredentials(options.target.endpoint)}`;
  }

  snapshot(): TracesState {
    return {
      target: this.#options.target,
      lastSuccessMs: this.#lastSuccessMs,
      lastFailure: this.#lastFailure,
      nextAttemptMs: null,
      rejected: this.#rejected,
      dropped: this.#dropped,
    };
  }

  /** `origin`: of the process that terminated. */
  submit(span: ReadableSpan, origin: OriginKey): void {
    this.#submitted += 1;
    const displaced = this.#waiting.set(String(this.#submitted), origin, span);
    if (displaced !== null) {
      this.displaced.add(displaced.origin);
      this.#drop(1, `more than ${SPANS_MAX} spans wait`);
    }
    this.#timer ??= setTimeout(() => void this.#send(), BATCH_DELAY_MS);
  }

  /** Sends queued spans for at most `timeoutMs`; the rest is dropped and counted. */
  async close(timeoutMs: number): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, timeoutMs).unref());
    await Promise.race([this.#send(), late]);
    if (this.#waiting.size > 0) this.#drop(this.#waiting.size, 'the service is shutting down');
    await Promise.race([this.#options.exporter.shutdown(), late]);
  }

  /** Sends one batch after the other until the queue is empty. */
  #send(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = null;
      this.#timer = null;
    });
    return this.#sending;
  }

  async #drain(): Promise<void> {
    const { exporter } = this.#options;
    while (this.#waiting.size > 0) {
      const batch = this.#waiting.members().slice(0, BATCH_SPANS_MAX);
      const outcome = await exportOnce((done) =>
        exporter.export(
          batch.map(({ value }) => value),
          done,
        ),
      );
      for (const { key } of batch) this.#waiting.delete(key);
      this.#settle(batch.length, outcome);
    }
  }

  #settle(spans: number, outcome: Outcome): void {
    const { log } = this.#options;
    if (outcome.kind !== 'success') {
      this.#lastFailure = outcome;
      if (outcome.kind === 'rejected') this.#rejected += spans;
      this.#drop(spans, describeFailure(outcome));
      return;
    }
    this.#lastFailure = null;
    this.#lastSuccessMs = Date.now();
    if (outcome.partial === null) return;
    const rejected = Math.min(outcome.partial.rejected, spans);
    this.#rejected += rejected;
    this.#dropped += rejected;
    const text = describePartial(rejected, spans, 'spans', outcome.partial.message);
    log.rateLimited('traces partial', `${this.#name} ${text}; ${this.#dropped} dropped so far`);
  }

  #drop(count: number, why: string): void {
    this.#dropped += count;
    this.#options.log.rateLimited(
      'traces',
      `${this.#name} did not receive ${count} spans (${why}), ${this.#dropped} so far. Spans are not stored on disk; records are. Set OTEL_TRACES_EXPORTER=none to send no spans.`,
    );
  }
}
