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
  #text = '';

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

  /** Reads what is in the pipe. Returns everything that was read so far. */
  read(): string {
    for (;;) {
      try {
        const bytes = this.#reader === null ? 0 : readSync(this.#reader, CHUNK);
        if (bytes === 0) return this.#text;
        this.#text += CHUNK.toString('utf8', 0, bytes);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return this.#text;
        throw error;
      }
    }
  }

  /** Every complete line that was read so far. */
  lines(): string[] {
    return this.read().split('\n').slice(0, -1);
  }

  /** The next write of the program fails with EPIPE. */
  close(): void {
    if (this.#reader !== null) closeSync(this.#reader);
    this.#reader = null;
  }
}
