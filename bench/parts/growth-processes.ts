// SPDX-License-Identifier: Apache-2.0
// Cost of an exit as the number of live processes grows: the probes must not iterate over other processes.
import { readFileSync } from 'node:fs';
import { CONSTANT } from '../bars.ts';
import { EXIT_HOOK } from '../events.ts';
import type { Growth } from '../figures.ts';
import { atHook, between, load, startProbeCost, startSleepers } from '../program.ts';
import { median, type Point } from '../statistics.ts';
import { drained, type Run, startQuietWhodunit } from './part.ts';

const SIZES = [10, 1_000, 10_000, 30_000];
const SIZES_QUICK = [10, 3_000];
/** Pids reserved for other programs. */
const PIDS_LEFT = 2_000;
const ROUNDS = 3;

const EVENTS = [
  { id: 'exit_normal', title: 'a normal exit, in the kernel', args: ['exit', 0, 5_000] },
  { id: 'death', title: 'a reported termination, in the kernel', args: ['storm', 1_000, 1, 1] },
];

export async function withProcesses({ quick, progress }: Run): Promise<readonly Growth[]> {
  const most = Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8')) - PIDS_LEFT;
  const sizes = (quick ? SIZES_QUICK : SIZES).map((size) => Math.min(size, most));
  const points = new Map(EVENTS.map(({ id }) => [id, [] as Point[]]));
  const whodunit = await startQuietWhodunit();
  const cost = startProbeCost('costs');
  try {
    for (const [index, size] of sizes.entries()) {
      progress(index / sizes.length, `${size} live processes`);
      const sleepers = await startSleepers(size);
      try {
        for (const { id, args } of EVENTS) {
          const samples: number[] = [];
          for (let round = 0; round < ROUNDS; round += 1) {
            const before = await cost.snapshot([whodunit.loader.pid]);
            await load(args);
            const { runs, ns } = between(before, await cost.snapshot([whodunit.loader.pid]), atHook(EXIT_HOOK));
            samples.push(ns / runs);
            await drained(whodunit.at.socket);
          }
          points.get(id)?.push({ size, value: median(samples) });
        }
      } finally {
        await sleepers.stop();
      }
    }
  } finally {
    await cost.stop();
    await whodunit.stop();
  }
  return EVENTS.map(({ id, title }) => ({
    id: `growth.processes.${id}`,
    title,
    of: 'live processes',
    unit: 'ns',
    points: points.get(id) ?? [],
    exponentMax: CONSTANT,
  }));
}
