// SPDX-License-Identifier: Apache-2.0
// kill -9 of the service, the loader or the collector at random moments during 500 terminations a second. Each is restarted at once, as by
// a service manager.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { chance, oneOf } from './chance.ts';
import { startReaper } from './reap.ts';
import { check, type Scenario } from './scenario.ts';
import { onStack } from './stack.ts';

const RATE = 500;
const SHORT = { ms: 12_000, kills: 20 };
const FULL = { ms: 60_000, kills: 100 };

export const killAnything: Scenario = {
  key: 'a',
  name: 'kill -9 of service, loader and collector',
  withinMs: ({ full }) => (full ? 300_000 : 150_000),
  run: async ({ full, seed }) => {
    const { ms, kills } = full ? FULL : SHORT;
    const random = chance(seed);
    return await onStack({ protocol: 'http/protobuf' }, async (stack) => {
      const reaper = startReaper({ rate: RATE });
      const begin = performance.now();
      const history: string[] = [];
      const killed = new Map<string, number>();
      const moments = Array.from({ length: kills }, () => random() * ms).sort((a, b) => a - b);
      for (const moment of moments) {
        const one = oneOf(random, [stack.service, stack.loader, stack.collector]);
        await sleep(Math.max(begin + moment - performance.now(), 0));
        await one.kill();
        history.push(`${one.name} at ${clock()}`);
        killed.set(one.name, (killed.get(one.name) ?? 0) + 1);
      }
      await sleep(Math.max(begin + ms - performance.now(), 0));
      const ledger = await reaper.stop();
      const note = [...killed].map(([name, times]) => `${name} ${times}×`).join(', ');
      const result = await check({ stack, ledger, note: `killed: ${note}` });
      return { ...result, examples: [...result.examples, `killed: ${history.join(', ')}`] };
    });
  },
};

/** CLOCK_BOOTTIME, the clock of the ledger, in seconds. */
function clock(): string {
  return readFileSync('/proc/uptime', 'utf8').split(' ')[0] ?? '';
}
