// SPDX-License-Identifier: Apache-2.0
// How the simulated hosts of a fleet report terminations: evenly, or as much as is accepted.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Fleet } from '../../scripts/stack/simulated-hosts.ts';

const TICK_MS = 10;
/** Records of a host that wait, beyond which it reports no more for now, and how many it reports at once. */
const BACKLOG_MAX = 64;
const AT_ONCE = 32;

export interface Load {
  /** The uids of what was reported so far. */
  readonly uids: readonly string[];
  readonly stop: () => Promise<void>;
}

/** The hosts report in turn, `perSecond` together, one termination at a time. */
export function startEven({ hosts }: Fleet, perSecond: number): Load {
  const start = performance.now();
  return startLoad(async (uids, running) => {
    while (running()) {
      const due = Math.floor(((performance.now() - start) / 1000) * perSecond);
      while (uids.length < due) uids.push(...(hosts[uids.length % hosts.length]?.terminate(1) ?? []));
      await sleep(TICK_MS);
    }
  });
}

/** Each host always has records that wait. */
export function startBacklog({ hosts }: Fleet): Load {
  return startLoad(async (uids, running) => {
    while (running()) {
      const before = uids.length;
      for (const host of hosts) {
        if (host.waiting() > BACKLOG_MAX - AT_ONCE) continue;
        uids.push(...host.terminate(AT_ONCE));
        await nextTurn();
      }
      if (uids.length === before) await sleep(TICK_MS);
    }
  });
}

function startLoad(report: (uids: string[], running: () => boolean) => Promise<void>): Load {
  const uids: string[] = [];
  let running = true;
  const reporting = report(uids, () => running);
  return {
    uids,
    stop: async () => {
      running = false;
      await reporting;
    },
  };
}
