// SPDX-License-Identifier: Apache-2.0
// The collector is stopped during 500 terminations a second, and started again later.
import { setTimeout as sleep } from 'node:timers/promises';
import { startReaper } from './reap.ts';
import { check, type Scenario } from './scenario.ts';
import { onStack } from './stack.ts';

const RATE = 500;
const SHORT_MS = 10_000;
const FULL_MS = 300_000;
/** The default of 256 MiB holds about 130,000 terminations; the full run has 150,000. */
const FULL_QUEUE = '1GiB';
/** Before the collector stops, and after it is back. */
const UP_MS = 2_000;
/** Longer than the longest pause between two attempts plus the time to send the queue. */
const SETTLED_WITHIN_MS = 600_000;

export const collectorDown: Scenario = {
  key: 'b',
  name: 'the collector is down, and comes back',
  withinMs: ({ full }) => (full ? 1_100_000 : 700_000),
  run: async ({ full }) => {
    const downMs = full ? FULL_MS : SHORT_MS;
    return await onStack({ protocol: 'grpc', env: full ? { WHODUNIT_QUEUE_BYTES: FULL_QUEUE } : {} }, async (stack) => {
      const reaper = startReaper({ rate: RATE });
      await sleep(UP_MS);
      await stack.collector.stop();
      await sleep(downMs);
      const missed = reaper.deaths();
      stack.collector.start();
      await sleep(UP_MS);
      const ledger = await reaper.stop();
      const note = `down for ${downMs / 1000} s, ${missed} deaths until then`;
      return await check({ stack, ledger, note, withinMs: SETTLED_WITHIN_MS });
    });
  },
};
