// SPDX-License-Identifier: Apache-2.0
// Spans to a backend, by the official exporters, which also try again for some seconds. A span is a second telling of a record: it waits
// in memory alone, bounded, and what is dropped is counted and said. Records are what the queue keeps (docs/decisions/).
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { withoutCredentials } from '../../core/delivery/diagnose.ts';
import type { TracesState } from '../../core/delivery/export-state.ts';
import type { Protocol, Target } from '../../core/delivery/target.ts';
import type { Log } from '../log.ts';

export const SPANS_MAX = 2048;
const BATCH_SPANS_MAX = 512;
const BATCH_DELAY_MS = 200;

export async function createSpanExporter(protocol: Protocol): Promise<SpanExporter> {
  switch (protocol) {
    case 'grpc':
      return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter();
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter();
  }
}

export interface TracesOptions {
  readonly exporter: SpanExporter;
  readonly log: Log;
  readonly target: Target;
}

/** `submit` as they come, `close` at the end. */
export class Traces {
  readonly #options: TracesOptions;
  #waiting: ReadableSpan[] = [];
  #timer: NodeJS.Timeout | null = null;
  #sending: Promise<void> | null = null;
  #lastSuccessMs: number | null = null;
  #lastError: string | null = null;
  #droppedSpans = 0;

  constructor(options: TracesOptions) {
    this.#options = options;
  }

  snapshot(): TracesState {
    return {
      target: this.#options.target,
      lastSuccessMs: this.#lastSuccessMs,
      lastError: this.#lastError,
      nextAttemptMs: null,
      dropped: this.#droppedSpans,
    };
  }

  submit(span: ReadableSpan): void {
    this.#waiting.push(span);
    if (this.#waiting.length > SPANS_MAX) {
      this.#waiting.shift();
      this.#dropped(1, `more than ${SPANS_MAX} spans wait`);
    }
    this.#timer ??= setTimeout(() => void this.#send(), BATCH_DELAY_MS);
  }

  /** Sends what waits, but no longer than `timeoutMs`; the rest is dropped and counted. */
  async close(timeoutMs: number): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, timeoutMs).unref());
    await Promise.race([this.#send(), late]);
    if (this.#waiting.length > 0) this.#dropped(this.#waiting.length, 'the end came first');
    await Promise.race([this.#options.exporter.shutdown(), late]);
  }

  /** One batch after the other until none waits. */
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
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, BATCH_SPANS_MAX);
      const error = await new Promise<Error | null>((resolve) => {
        exporter.export(batch, ({ code, error }) => resolve(code === 0 ? null : (error ?? new Error('failed'))));
      });
      // Others may have been dropped from the front meanwhile: the batch is what it was.
      const sent = new Set(batch);
      this.#waiting = this.#waiting.filter((span) => !sent.has(span));
      this.#lastError = error?.message ?? null;
      if (error === null) this.#lastSuccessMs = Date.now();
      else this.#dropped(batch.length, error.message);
    }
  }

  #dropped(count: number, why: string): void {
    const { log, target } = this.#options;
    this.#droppedSpans += count;
    log.rateLimited(
      'traces',
      `the backend at ${withoutCredentials(target.endpoint)} did not get ${count} spans (${why}). Spans are not kept on disk; records are. OTEL_TRACES_EXPORTER=none ends this.`,
    );
  }
}
