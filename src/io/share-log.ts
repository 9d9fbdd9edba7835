// SPDX-License-Identifier: Apache-2.0
// Logs who fills what is limited: one sentence for each limit, when the origin that holds most lost something. core/words/shares.ts has the
// sentences.
import { type Exceeded, exceededSentence } from '../core/words/shares.ts';
import { eachSecond } from './each-second.ts';
import type { Log } from './log.ts';

/** Logs while the service runs. `read`: the limits at which something was lost since the service started. */
export function logExceeded(log: Log, read: () => readonly Exceeded[]): void {
  /** What was lost when it was logged last, by limit. */
  const logged = new Map<string, number>();
  const check = (): void => {
    for (const one of read()) {
      if (one.count === logged.get(one.limit)) continue;
      if (log.rateLimited(`limit ${one.limit}`, exceededSentence(one))) logged.set(one.limit, one.count);
    }
  };
  eachSecond(check);
}
