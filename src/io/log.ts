// SPDX-License-Identifier: Apache-2.0
// The service's own log: lines on stderr. A rate-limited topic is written at most once a minute, with the number of lines left out.
// Termination records are not logged but printed: see console.ts.

export const REPEAT_MS = 60_000;
/** Text that waits for the reader of stderr. Further lines are left out and counted. */
const WAITING_BYTES_MAX = 65_536;
/** Topics are constants in the code; this limit is only a guard. */
const TOPICS_MAX = 64;

export class Log {
  /** False: there was no room for the line. */
  readonly #write: (line: string) => unknown;
  readonly #now: () => number;
  readonly #topics = new Map<string, { last: number; omitted: number }>();
  #leftOut = 0;

  constructor(write: (line: string) => unknown = writeStderr, now: () => number = () => performance.now()) {
    this.#write = write;
    this.#now = now;
  }

  line(text: string): void {
    const before =
      this.#leftOut === 0 ? '' : `whodunit: ${this.#leftOut} lines were left out: the reader of stderr did not read\n`;
    const room = this.#write(`${before}whodunit: ${text.replaceAll('\n', ' ')}\n`);
    this.#leftOut = room === false ? this.#leftOut + 1 : 0;
  }

  /** Writes the line, or counts it if a line of this topic was written in the last minute. Returns whether it was written. */
  rateLimited(topic: string, text: string): boolean {
    const known = this.#topics.get(topic);
    const now = this.#now();
    if (known !== undefined && now - known.last < REPEAT_MS) {
      known.omitted += 1;
      return false;
    }
    if (known === undefined && this.#topics.size >= TOPICS_MAX) return false;
    const more = known === undefined || known.omitted === 0 ? '' : ` (${known.omitted} more left out)`;
    this.#topics.set(topic, { last: now, omitted: 0 });
    this.line(`${text}${more}`);
    return true;
  }

  /** The condition of this topic is over: its next line is written at once. */
  reset(topic: string): void {
    this.#topics.delete(topic);
  }
}

function writeStderr(line: string): boolean {
  if (process.stderr.writableLength > WAITING_BYTES_MAX) return false;
  process.stderr.write(line);
  return true;
}
