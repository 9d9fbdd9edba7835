// SPDX-License-Identifier: Apache-2.0
// Prints records on stdout. Without a disk queue, a record is acknowledged when the kernel has taken its text; until then the reader's
// pace is the service's, and what it has not read stays in the ring buffer (print). Beside a queue, the queue acknowledges, and printing
// does not wait: what a slow reader leaves no room for is skipped and counted (show). docs/decisions/0048 has the reasons.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { OutputForm } from '../config/read.ts';
import type { FatalError } from '../core/errors.ts';
import { Displaced, type OriginKey, Shares } from '../core/shares.ts';
import type { PrinterSnapshot } from '../core/snapshots.ts';
import { readRecord } from '../core/telemetry/stored.ts';
import { renderer } from './console.ts';
import type { Log } from './log.ts';
import { complete, isNull, type Output, outputLost, write } from './output.ts';

/** Text of one origin that waits for the reader beside a queue: about 300 records. */
const WAITING_BYTES_MAX = 1_048_576;
/** Of all origins together: each may have as much as is free (Shares.admits()). */
const WAITING_TOTAL_BYTES_MAX = 2 * WAITING_BYTES_MAX;
/** A reader that takes longer is reported. */
const SLOW_MS = 5_000;

export interface PrinterOptions {
  readonly stream: Output;
  readonly render: (record: ReadableLogRecord) => string;
  readonly log: Log;
  /** There is no queue: what is printed is acknowledged, and without stdout the service stops. */
  readonly acknowledges: boolean;
  readonly stop: AbortController;
  /** How long it waits for the reader after the stop. */
  readonly shutdownTimeoutMs: number;
}

/** Returns the printer of the service. */
export function stdoutPrinter(form: OutputForm, options: Omit<PrinterOptions, 'stream' | 'render'>): Printer {
  const render = renderer(form, process.stdout, process.env);
  if (options.acknowledges && isNull(process.stdout.fd))
    options.log.line(
      'stdout is closed or /dev/null, and there is no collector: records are lost. Give whodunit a reader, or set OTEL_EXPORTER_OTLP_ENDPOINT to send them to a collector.',
      'error',
    );
  return new Printer({ ...options, stream: complete(process.stdout), render });
}

export class Printer {
  readonly #options: PrinterOptions;
  readonly #waiting = new Shares();
  /** Records that were sent but not printed, because their origin has no room left. */
  readonly displaced = new Displaced();
  #printed = 0;
  #error: NodeJS.ErrnoException | null = null;
  #gaveUp = false;
  /** Ends the wait for the write in progress. null: there is none. */
  #abandon: (() => void) | null = null;

  constructor(options: PrinterOptions) {
    this.#options = options;
    const { stream, stop, shutdownTimeoutMs } = options;
    stream.on('error', (error) => this.#lose(error));
    stop.signal.addEventListener('abort', () => setTimeout(() => this.#giveUp(), shutdownTimeoutMs));
  }

  snapshot(): PrinterSnapshot {
    const error = this.#error === null ? null : outputLost(this.#error).message;
    const waitingBytes = this.#options.stream.writableLength;
    return { printed: this.#printed, skipped: this.displaced.total, waitingBytes, error };
  }

  /** Why the service must end: stdout was its only output. null: it goes on. */
  lost(): FatalError | null {
    const { acknowledges } = this.#options;
    const rest =
      ' Records that were not printed stay in the ring buffer: start whodunit with a reader again, or set OTEL_EXPORTER_OTLP_ENDPOINT to send them to a collector.';
    return acknowledges ? this.#error && outputLost(this.#error, rest) : null;
  }

  /** Prints a record. Resolves with true when the kernel has taken it. False: stdout cannot be written, or the printer gave up. */
  async print(record: Uint8Array): Promise<boolean> {
    const { render, log } = this.#options;
    const slow = setTimeout(() => {
      const text = `The reader of stdout has not read for ${SLOW_MS / 1000} s: records wait in the ring buffer until it does.`;
      log.rateLimited('stdout', text);
    }, SLOW_MS);
    const done = await this.#written(render(readRecord(record)));
    clearTimeout(slow);
    if (done) this.#printed += 1;
    return done;
  }

  /** Prints a record if stdout has room for one more of its origin. */
  show(record: Uint8Array, origin: OriginKey): void {
    const { stream, render, log } = this.#options;
    if (this.#error !== null) return;
    if (!this.#waiting.admits(origin, WAITING_TOTAL_BYTES_MAX)) {
      this.displaced.add(origin);
      log.rateLimited(
        'stdout',
        `The reader of stdout is too slow: ${this.displaced.total} records were sent but not printed so far, because ${this.#waiting.total} bytes wait already.`,
      );
      return;
    }
    const text = render(readRecord(record));
    this.#waiting.add(origin, text.length);
    void write(stream, text).then((error) => {
      this.#waiting.add(origin, -text.length);
      if (error === null) this.#printed += 1;
      else this.#lose(error);
    });
  }

  /** Resolves when the kernel has taken everything, or the printer gave up. */
  async drained(): Promise<boolean> {
    return this.#written('');
  }

  #written(text: string): Promise<boolean> {
    if (this.#gaveUp || this.#error !== null) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#abandon = () => resolve(false);
      void write(this.#options.stream, text).then((error) => {
        this.#abandon = null;
        if (error !== null) this.#lose(error);
        resolve(error === null);
      });
    });
  }

  #giveUp(): void {
    const { acknowledges, log, shutdownTimeoutMs } = this.#options;
    this.#gaveUp = true;
    if (this.#abandon === null) return;
    this.#abandon();
    const rest = acknowledges
      ? 'Records that were not printed stay in the ring buffer, and are printed after the next start. The last one may be cut; it is printed again.'
      : 'Records that were not printed are sent nevertheless.';
    log.line(
      `The reader of stdout did not read within ${shutdownTimeoutMs} ms (WHODUNIT_SHUTDOWN_TIMEOUT). ${rest}`,
      'warn',
    );
  }

  #lose(error: NodeJS.ErrnoException): void {
    const { acknowledges, log, stop } = this.#options;
    if (this.#error !== null) return;
    this.#error = error;
    if (acknowledges) stop.abort();
    else log.line(`${outputLost(error).message} Records are no longer printed; they are still sent.`, 'error');
  }
}
