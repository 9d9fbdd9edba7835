// SPDX-License-Identifier: Apache-2.0
// The service's own log: lines on stderr. A rate-limited topic is written at most once a minute, with the number of lines left out.
// Termination records are not logged but printed: see console.ts. log-style.ts has what stands before a line.
import type { LogLevel } from '../config/kinds.ts';
import { visible } from '../core/words/visible.ts';

/** Of a line. */
export type Severity = Exclude<LogLevel, 'none'>;

/** Which lines are written, and how they begin. */
export interface LogStyle {
  readonly level: LogLevel;
  readonly head: (severity: Severity) => string;
}

/** What a command says to the person who runs it. */
export const PLAIN: LogStyle = { level: 'info', head: () => '' };

export const REPEAT_MS = 60_000;
/** Text that waits for the reader of stderr. Further lines are left out and counted. */
const WAITING_BYTES_MAX = 65_536;
/** Topics are constants in the code; this limit is only a guard. */
const TOPICS_MAX = 64;
const LEVELS: readonly LogLevel[] = ['none', 'error', 'warn', 'info', 'debug'];

export class Log {
  /** False: there was no room for the line. */
  readonly #write: (line: string) => unknown;
  readonly #now: () => number;
  readonly #style: LogStyle;
  readonly #topics = new Map<string, { last: number; omitted: number }>();
  #leftOut = 0;

  constructor(
    write: (line: string) => unknown = writeStderr,
    now: () => number = () => performance.now(),
    style: LogStyle = PLAIN,
  ) {
    this.#write = write;
    this.#now = now;
    this.#style = style;
  }

  /** Whether lines of this severity are written. */
  writes(severity: Severity): boolean {
    return LEVELS.indexOf(severity) <= LEVELS.indexOf(this.#style.level);
  }

  line(text: string, severity: Severity = 'info'): void {
    if (this.writes(severity)) this.#put(text, severity);
  }

  /** Writes the reason for which the program ends, whatever the level. */
  failure(text: string): void {
    this.#put(text, 'error');
  }

  /** Writes the line, or counts it if a line of this topic was written in the last minute. Returns whether it was written. */
  rateLimited(topic: string, text: string, severity: Severity = 'warn'): boolean {
    if (!this.writes(severity)) return false;
    const known = this.#topics.get(topic);
    const now = this.#now();
    if (known !== undefined && now - known.last < REPEAT_MS) {
      known.omitted += 1;
      return false;
    }
    if (known === undefined && this.#topics.size >= TOPICS_MAX) return false;
    const more = known === undefined || known.omitted === 0 ? '' : ` (${known.omitted} more left out)`;
    this.#topics.set(topic, { last: now, omitted: 0 });
    this.line(`${text}${more}`, severity);
    return true;
  }

  /** The condition of this topic is over: its next line is written at once. */
  reset(topic: string): void {
    this.#topics.delete(topic);
  }

  #put(text: string, severity: Severity): void {
    const leftOut = `${this.#leftOut} lines were left out: the reader of stderr did not read`;
    const before = this.#leftOut === 0 ? '' : this.#format(leftOut, 'warn');
    const room = this.#write(`${before}${this.#format(text, severity)}`);
    this.#leftOut = room === false ? this.#leftOut + 1 : 0;
  }

  #format(text: string, severity: Severity): string {
    return `${this.#style.head(severity)}whodunit: ${visible(text.replaceAll('\n', ' '))}\n`;
  }
}

function writeStderr(line: string): boolean {
  if (process.stderr.writableLength > WAITING_BYTES_MAX) return false;
  process.stderr.write(line);
  return true;
}
