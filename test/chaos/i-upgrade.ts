// SPDX-License-Identifier: Apache-2.0
// A loader replaces the one of release 0.1.0, whose probes have another ABI; then two builds replace each other. Meanwhile 500 processes
// terminate per second, and some of the new loaders are killed while they start. The two builds have different BPF objects, so that the
// programs in the kernel are replaced (scripts/suites/chaos.ts).
import { setTimeout as sleep } from 'node:timers/promises';
import { LOADER } from '../../scripts/stack/program.ts';
import { chance } from './chance.ts';
import { startReaper } from './reap.ts';
import { check, type Scenario } from './scenario.ts';
import { onStack, startLoader } from './stack.ts';

const RATE = 500;
const SHORT_UPGRADES = 5;
const FULL_UPGRADES = 30;
const BETWEEN_MS = 1_500;
/** The duration of a start, roughly. */
const START_MS = 300;

export const upgrade: Scenario = {
  key: 'i',
  name: 'another loader takes over',
  withinMs: ({ full }) => (full ? 300_000 : 150_000),
  run: async ({ full, seed }) => {
    const other = process.env.WHODUNIT_CHAOS_OTHER_LOADER;
    if (other === undefined) throw new Error('WHODUNIT_CHAOS_OTHER_LOADER is not set: `npm run test:chaos` builds it');
    const released = process.env.WHODUNIT_CHAOS_RELEASED_LOADER;
    const random = chance(seed);
    const upgrades = full ? FULL_UPGRADES : SHORT_UPGRADES;
    return await onStack({ protocol: 'http/protobuf', loader: released }, async (stack) => {
      const reaper = startReaper({ rate: RATE });
      let killed = 0;
      for (let index = 0; index < upgrades; index += 1) {
        await sleep(BETWEEN_MS);
        await stack.loader.stop();
        stack.loader.start(() => startLoader(stack.at, index % 2 === 0 ? other : LOADER));
        if (random() < 0.5) {
          await sleep(random() * START_MS);
          await stack.loader.kill();
          killed += 1;
        }
      }
      await sleep(BETWEEN_MS);
      const ledger = await reaper.stop();
      const first = released === undefined ? '' : ', the first from 0.1.0';
      const note = `${upgrades} upgrades${first}, ${killed} of them killed during the start`;
      return await check({ stack, ledger, note });
    });
  },
};
