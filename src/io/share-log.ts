// SPDX-License-Identifier: Apache-2.0
// Logs who fills what is limited: one sentence for each limit, when the origin that holds most lost something. core/words/shares.ts has the
// sentences.
import { type Exceeded, exceededSentence } from '../core/words/shares.ts';
import type { Log } from './log.ts';

export class ShareLog {
  readonly #log: Log;
  /** What was lost when it was logged last, by limit. */
  readonly #logged = new Map<string, number>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** `all`: the limits at which something was lost since the service started. */
  update(all: readonly Exceeded[]): void {
    for (const one of all) {
      if (one.count === this.#logged.get(one.limit)) continue;
      if (this.#log.rateLimited(`limit ${one.limit}`, exceededSentence(one))) this.#logged.set(one.limit, one.count);
    }
  }
}
