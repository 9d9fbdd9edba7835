// SPDX-License-Identifier: Apache-2.0
// Runs the stages of a test command, one in the foreground and others in the background, and records their results and durations. The
// output of a background stage is shown in one piece when the command waits for it.
import { Capture, print, withCapture } from '../base/screen.ts';
import { add, type Counts, inCi, inWords, NO_TESTS } from './counts.ts';

interface Row {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  /** null: a stage without tests. */
  readonly counts: Counts | null;
}

export interface Background<T> {
  /** Resolves when the stage has ended, also after an error. */
  readonly ended: Promise<void>;
  /** Waits for the stage, prints its output, and returns its result or throws its error. */
  readonly finish: () => Promise<T>;
}

export class Stages {
  readonly #rows: Row[] = [];
  readonly #ci: boolean;
  readonly #now: () => number;
  readonly #startMs: number;

  /** `ci`: skipped tests count as failed. */
  constructor(ci: boolean, now: () => number = () => performance.now()) {
    this.#ci = ci;
    this.#now = now;
    this.#startMs = now();
  }

  /** Runs a stage with tests in the foreground. */
  async test(name: string, work: () => Promise<Counts>): Promise<void> {
    const startMs = this.#now();
    this.#report(name, startMs, await work());
  }

  /** Starts a stage with tests in the background. */
  testInBackground(name: string, work: () => Promise<Counts>): Background<void> {
    const startMs = this.#now();
    return background(new Capture(), async () => this.#report(name, startMs, await work()));
  }

  /** Starts a stage without tests in the background, to prepare other stages. `yields`: its programs run at low priority. */
  prepareInBackground<T>(name: string, work: () => Promise<T>, { yields = false } = {}): Background<T> {
    const startMs = this.#now();
    return background(new Capture({ yields }), async () => {
      const result = await work();
      this.#rows.push({ name, startMs, endMs: this.#now(), counts: null });
      return result;
    });
  }

  #report(name: string, startMs: number, reported: Counts): void {
    const counts = this.#ci ? inCi(reported) : reported;
    this.#rows.push({ name, startMs, endMs: this.#now(), counts });
    print(`${name}: ${inWords(counts)}\n`);
  }

  total(): Counts {
    return this.#rows.reduce((total, { counts }) => add(total, counts ?? NO_TESTS), NO_TESTS);
  }

  /** Returns one line for each stage, in order of start. */
  table(): string {
    const rows = this.#rows
      .toSorted((a, b) => a.startMs - b.startMs)
      .map(({ name, startMs, endMs, counts }) => [
        name,
        seconds(startMs - this.#startMs),
        seconds(endMs - startMs),
        counts === null ? '' : inWords(counts),
      ]);
    const all = [['stage', 'from', 'time', ''], ...rows, ['all', seconds(0), seconds(this.#now() - this.#startMs), '']];
    const [nameWidth = 0, fromWidth = 0, timeWidth = 0] = [0, 1, 2].map((column) =>
      Math.max(...all.map((row) => row[column]?.length ?? 0)),
    );
    return all
      .map(([name = '', from = '', time = '', counts = '']) =>
        `${name.padEnd(nameWidth)}  ${from.padStart(fromWidth)}  ${time.padStart(timeWidth)}  ${counts}`.trimEnd(),
      )
      .join('\n');
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Starts `work` immediately. finish() throws its error. */
function background<T>(capture: Capture, work: () => Promise<T>): Background<T> {
  const result = withCapture(capture, work);
  const ended = result.then(
    () => {},
    () => {},
  );
  const finish = async () => {
    try {
      return await result;
    } finally {
      if (capture.text !== '') print(capture.text.trimEnd());
    }
  };
  return { ended, finish };
}
