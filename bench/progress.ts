// SPDX-License-Identifier: Apache-2.0
// Shows the progress of a run on standard error: a bar on a terminal, else one line for each step.
const BAR_CHARACTERS = 30;

export class Progress {
  readonly #terminal = process.stderr.isTTY === true;
  readonly #start = performance.now();
  #last = '';

  /** `fraction` of the run is done; `text` is the current step. */
  show(fraction: number, text: string): void {
    const seconds = Math.round((performance.now() - this.#start) / 1000);
    if (this.#terminal) {
      const full = Math.round(fraction * BAR_CHARACTERS);
      const bar = '█'.repeat(full) + '·'.repeat(BAR_CHARACTERS - full);
      const line = `${bar} ${(fraction * 100).toFixed(0).padStart(3)} %  ${seconds} s  ${text}`;
      process.stderr.write(`\r\x1b[K${line.slice(0, process.stderr.columns - 1)}`);
    } else if (text !== this.#last) {
      process.stderr.write(`${(fraction * 100).toFixed(0).padStart(3)} %  ${seconds} s  ${text}\n`);
    }
    this.#last = text;
  }

  /** Removes the bar. */
  end(): void {
    if (this.#terminal) process.stderr.write('\r\x1b[K');
  }
}
