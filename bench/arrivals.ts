// SPDX-License-Identifier: Apache-2.0
// Measures when each record arrived in a file: that of the collector, which writes it before it answers the sender, or the standard output
// of the service. Reads immediately and cheaply, because it shares the processors with what is measured; parses after the measurement.
import { closeSync, existsSync, type FSWatcher, openSync, readSync, watch, writeFileSync } from 'node:fs';
import { isTermination, type LogRecord, logRecords } from '../scripts/stack/otlp-file.ts';

const CHUNK_BYTES = 1 << 20;

/** What is read of a record. */
export type Timed = Pick<LogRecord, 'eventName' | 'timeUnixNs' | 'resource'>;

export interface Arrival {
  /** The kernel timestamp of the termination. */
  readonly terminatedNs: bigint;
  readonly latencyMs: number;
  readonly executable: string;
}

/** A record that the service printed with `--output json`. */
export function printedRecord(line: string): Timed[] {
  const { event_name: eventName, timestamp_ns: timeNs, resource } = JSON.parse(line);
  return [{ eventName, timeUnixNs: BigInt(timeNs), resource: resource.attributes }];
}

export class Arrivals {
  readonly #records: (line: string) => readonly Timed[];
  readonly #file: number;
  readonly #watcher: FSWatcher;
  readonly #buffer = Buffer.alloc(CHUNK_BYTES);
  /** The bytes of each read, and its time (ms since 1970). */
  readonly #chunks: { readonly at: number; readonly bytes: Buffer }[] = [];
  readonly #clockMs = wallClock();

  /** Starts to read at the current end of the file. `records`: those of a line. */
  constructor(path: string, records: (line: string) => readonly Timed[] = logRecords) {
    this.#records = records;
    // The collector creates the file at the first request.
    if (!existsSync(path)) writeFileSync(path, '');
    this.#file = openSync(path, 'r');
    this.#read();
    // What is already in the file is skipped, except an incomplete last line.
    const before = Buffer.concat(this.#chunks.splice(0).map(({ bytes }) => bytes));
    this.#chunks.push({ at: this.#clockMs(), bytes: before.subarray(before.lastIndexOf(0x0a) + 1) });
    this.#watcher = watch(path, () => this.#read());
  }

  #read(): void {
    for (;;) {
      const length = readSync(this.#file, this.#buffer, 0, CHUNK_BYTES, null);
      if (length === 0) return;
      this.#chunks.push({ at: this.#clockMs(), bytes: Buffer.from(this.#buffer.subarray(0, length)) });
    }
  }

  /** Returns the number of complete requests so far. */
  lines(): number {
    let count = 0;
    for (const { bytes } of this.#chunks) for (const byte of bytes) if (byte === 0x0a) count += 1;
    return count;
  }

  /** Stops reading and returns the arrivals of terminations. The records of a line arrive with its last byte. */
  stop(): Arrival[] {
    this.#watcher.close();
    this.#read();
    closeSync(this.#file);
    const arrivals: Arrival[] = [];
    let rest: Buffer[] = [];
    for (const { at, bytes } of this.#chunks) {
      let start = 0;
      for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, start)) {
        const line = Buffer.concat([...rest, bytes.subarray(start, end)]).toString('utf8');
        rest = [];
        start = end + 1;
        for (const record of this.#records(line)) {
          if (!isTermination(record)) continue;
          const { timeUnixNs: terminatedNs, resource } = record;
          const latencyMs = at - Number(terminatedNs / 1_000n) / 1_000;
          arrivals.push({ terminatedNs, latencyMs, executable: String(resource['process.executable.path']) });
        }
      }
      rest.push(bytes.subarray(start));
    }
    return arrivals;
  }
}

/** Returns a wall clock with a resolution below 1 ms: polls Date.now(), which has whole milliseconds, until it changes. */
function wallClock(): () => number {
  const before = Date.now();
  let tick = before;
  while (tick === before) tick = Date.now();
  const offset = tick - performance.now();
  return () => performance.now() + offset;
}
