// SPDX-License-Identifier: Apache-2.0
// The service's own log: plain lines on stderr, one each. What repeats is written at most once a minute for each topic, with
// the number of times it was left out. Reports of deaths are not logs: see console.ts.

export const REPEAT_MS = 60_000;
/** Topics that are remembered; all are constants of the code, so this is only a guard. */
const TOPICS_MAX = 64;

export class Log {
  readonly #write: (line: string) => void;
  readonly #now: () => number;
  readonly #topics = new Map<string, { last: number; left: number }>();

  constructor(write: (line: string) => void = writeStderr, now: () => number = Date.now) {
    this.#write = write;
    this.#now = now;
  }

  line(text: string): void {
    this.#write(`whodunit: ${text.replaceAll('\n', ' ')}\n`);
  }

  /** Writes the line if none of this topic was written in the last minute, else counts it. */
  seldom(topic: string, text: string): void {
    const seen = this.#topics.get(topic);
    const now = this.#now();
    if (seen !== undefined && now - seen.last < REPEAT_MS) {
      seen.left += 1;
      return;
    }
    if (seen === undefined && this.#topics.size >= TOPICS_MAX) return;
    const more = seen === undefined || seen.left === 0 ? '' : ` (and ${seen.left} more in between)`;
    this.#topics.set(topic, { last: now, left: 0 });
    this.line(`${text}${more}`);
  }

  /** The next line of this topic is news again. */
  over(topic: string): void {
    this.#topics.delete(topic);
  }
}

function writeStderr(line: string): void {
  process.stderr.write(line);
}
