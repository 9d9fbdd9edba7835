// SPDX-License-Identifier: Apache-2.0
// Records that `whodunit purge --undelivered` removes from the queue: only the service may open the queue, so the command leaves a file in the
// state directory, which the service looks for once a second, and before it sends anything.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { eachSecond } from '../each-second.ts';
import type { Log } from '../log.ts';
import { writeForService } from '../state-file.ts';
import type { Purged } from './queue.ts';

const requestSchema = z.object({ records: z.array(z.tuple([z.int(), z.string()])) });

export function purgeRequestPath(stateDirectory: string): string {
  return join(stateDirectory, 'purge.json');
}

/** Adds to a request that the service has not carried out yet. Throws the error of the file system. */
export function requestPurge(stateDirectory: string, wanted: Purged): void {
  const path = purgeRequestPath(stateDirectory);
  const records = [...new Map([...(readRequest(path) ?? []), ...wanted])];
  writeForService(stateDirectory, path, { records });
}

export class PurgeRequests {
  readonly #path: string;
  readonly #log: Log;

  constructor(stateDirectory: string, log: Log) {
    this.#path = purgeRequestPath(stateDirectory);
    this.#log = log;
  }

  /** `purge`: returns how many it removed; null: not now. */
  carryOut(purge: (wanted: Purged) => number | null): void {
    try {
      const wanted = readRequest(this.#path);
      if (wanted === null) return;
      const removed = purge(wanted);
      if (removed === null) return;
      rmSync(this.#path);
      this.#log.line(`whodunit purge: ${removed} records were removed from the queue before they were sent.`);
    } catch (error) {
      this.#log.rateLimited('purge', `${this.#path} is not carried out (${(error as Error).message}): remove it.`);
    }
  }

  watch(purge: (wanted: Purged) => number | null): void {
    eachSecond(() => this.carryOut(purge));
  }
}

/** null: there is none. */
function readRequest(path: string): Purged | null {
  if (!existsSync(path)) return null;
  try {
    return new Map(requestSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).records);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
