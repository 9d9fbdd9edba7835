// SPDX-License-Identifier: Apache-2.0
// 20,000 terminations as fast as all processors can, with the service stopped (SIGSTOP) for 2 s in the middle, and the default ring. What
// does not fit may be lost, but must be counted.
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../scripts/stack/program.ts';
import { startReaper } from './reap.ts';
import { check, type Scenario } from './scenario.ts';
import { onStack } from './stack.ts';

const DEATHS = 20_000;
const STOP_AFTER_DEATHS = 5_000;
const STOPPED_MS = 2_000;
const STORM_WITHIN_MS = 60_000;

export const storm: Scenario = {
  key: 'storm',
  name: `${DEATHS} deaths at once, the service stopped for 2 s`,
  withinMs: () => 300_000,
  run: async () => {
    return await onStack({ protocol: 'http/protobuf' }, async (stack) => {
      const reaper = startReaper({ count: DEATHS });
      const begin = performance.now();
      await until('the middle of the storm', STORM_WITHIN_MS, () => reaper.deaths() >= STOP_AFTER_DEATHS || undefined);
      stack.service.program.child.kill('SIGSTOP');
      await sleep(STOPPED_MS);
      const meanwhile = reaper.deaths();
      stack.service.program.child.kill('SIGCONT');
      const ledger = await reaper.ended;
      const seconds = (performance.now() - begin) / 1000;
      const result = await check({ stack, ledger, mayLose: true });
      return {
        ...result,
        note: `${Math.round(DEATHS / seconds)} deaths a second, ${meanwhile} until the service continued`,
      };
    });
  },
};
