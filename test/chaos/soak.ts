// SPDX-License-Identifier: Apache-2.0
// An hour with 50 terminations a second: the memory of loader and service must not grow (the median of the last quarter is at most 110 % of
// that of the second), nor the number of open descriptors.
import { setTimeout as sleep } from 'node:timers/promises';
import { startReaper } from './reap.ts';
import { type Sample, sample } from './sample.ts';
import { check, type Scenario } from './scenario.ts';
import { onStack } from './stack.ts';

const RATE = 50;
const SAMPLE_MS = 1_000;
const GROWTH_MAX = 1.1;
/** For a reconnection, or a file that is being read. */
const DESCRIPTORS_MORE_MAX = 2;
const MINUTE_MS = 60_000;

export const soak: Scenario = {
  key: 'soak',
  name: `${RATE} deaths a second`,
  withinMs: ({ soakMinutes }) => soakMinutes * MINUTE_MS + 300_000,
  run: async ({ soakMinutes }) => {
    return await onStack({ protocol: 'http/protobuf' }, async (stack) => {
      const reaper = startReaper({ rate: RATE });
      const watched = [stack.loader, stack.service].map((one) => ({ one, samples: [] as Sample[] }));
      const end = performance.now() + soakMinutes * MINUTE_MS;
      while (performance.now() < end) {
        await sleep(SAMPLE_MS);
        for (const { one, samples } of watched) samples.push(sample(one.program.pid));
      }
      const ledger = await reaper.stop();
      const verdicts = watched.map(({ one, samples }) => growth(one.name, samples));
      return await check({
        stack,
        ledger,

        note: `${soakMinutes} min; ${verdicts.map(({ note }) => note).join('; ')}`,
        problems: verdicts.flatMap(({ problems }) => problems),
      });
    });
  },
};

/** Compares the last quarter with the second. The first is the warm-up. */
function growth(name: string, samples: readonly Sample[]): { note: string; problems: string[] } {
  const quarter = Math.floor(samples.length / 4);
  const median = (from: number, of: (one: Sample) => number) => {
    const values = samples.slice(from, from + quarter).map(of);
    return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  };
  const bytes = [quarter, 3 * quarter].map((from) => median(from, ({ residentBytes }) => residentBytes));
  const descriptors = [quarter, 3 * quarter].map((from) => median(from, (one) => one.descriptors));
  const [early = 0, late = 0] = bytes;
  const [few = 0, many = 0] = descriptors;
  const problems: string[] = [];
  if (late > early * GROWTH_MAX) problems.push(`${name} has grown from ${early} to ${late} bytes`);
  if (many > few + DESCRIPTORS_MORE_MAX) problems.push(`${name} had ${few} descriptors, then ${many}`);
  const mib = (value: number) => (value / 2 ** 20).toFixed(1);
  return { note: `${name} ${mib(early)} → ${mib(late)} MiB, ${few} → ${many} descriptors`, problems };
}
