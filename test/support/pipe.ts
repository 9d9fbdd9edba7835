// SPDX-License-Identifier: Apache-2.0
// A real pipe whose reader the test controls: it sleeps until it reads, and may close.
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, rmSync } from 'node:fs';
import { temporaryDirectory } from '../../scripts/stack/program.ts';

const CHUNK = Buffer.alloc(65_536);

export class Pipe {
  /** The end for the program. The test closes it once the program has it. */
  readonly writeEnd: number;
  #reader: number | null;
  readonly #lines: string[] = [];
  #rest = '';

  constructor() {
    const directory = temporaryDirectory();
    const path = `${directory.path}/pipe`;
    spawnSync('mkfifo', [path]);
    this.#reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.writeEnd = openSync(path, constants.O_WRONLY);
    rmSync(path);
    directory.remove();
  }

  handedOver(): void {
    closeSync(this.writeEnd);
  }

  /** Reads what is in the pipe. Returns every complete line that was read so far. */
  lines(): readonly string[] {
    for (;;) {
      try {
        const bytes = this.#reader === null ? 0 : readSync(this.#reader, CHUNK);
        if (bytes === 0) return this.#lines;
        const lines = `${this.#rest}${CHUNK.toString('utf8', 0, bytes)}`.split('\n');
        this.#rest = lines.pop() ?? '';
        this.#lines.push(...lines);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return this.#lines;
        throw error;
      }
    }
  }

  /** The next write of the program fails with EPIPE. */
  close(): void {
    if (this.#reader !== null) closeSync(this.#reader);
    this.#reader = null;
  }
}
