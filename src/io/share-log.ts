// SPDX-License-Identifier: Apache-2.0
// Logs who fills what is limited: one sentence for each limit, when the origin that holds most lost something. core/words/shares.ts has the
// sentences.
import type { Host } from '../core/identity/host.ts';
import { type DisplacedByLimit, exceeded, exceededSentence, totalOf } from '../core/words/shares.ts';
import { eachSecond } from './each-second.ts';
import type { Log } from './log.ts';

/** Logs while the service runs. */
export function logExceeded(log: Log, displaced: () => DisplacedByLimit, host: () => Host): void {
  /** What was lost when it was logged last, by limit. */
  const logged = new Map<string, number>();
  const total = () => [...logged.values()].reduce((sum, count) => sum + count, 0);
  eachSecond(() => {
    if (totalOf(displaced()) === total()) return;
    for (const one of exceeded(displaced(), host().userNames)) {
      if (one.count === logged.get(one.limit)) continue;
      if (log.rateLimited(`limit ${one.limit}`, exceededSentence(one))) logged.set(one.limit, one.count);
    }
  });
}
