// SPDX-License-Identifier: Apache-2.0
// The disk of the queue is full: a tmpfs of a few MiB, no collector, 500 terminations a second, and a small ring. /status must report it,
// no program may exit, and every loss must be counted. Then the collector comes back.
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { startReaper } from './reap.ts';
import { check, type Scenario } from './scenario.ts';
import { onStack } from './stack.ts';

const RATE = 500;
const DISK = '4m';
const RING_BYTES = 1 << 20;
const FULL_WITHIN_MS = 60_000;
/** How long the terminations continue when the ring is full too. */
const SHORT_MS = 1_000;
const FULL_MS = 60_000;
const SETTLED_WITHIN_MS = 150_000;

export const diskFull: Scenario = {
  key: 'd',
  name: `the disk is full (${DISK.replace('m', ' MiB')}), and the ring is small`,
  withinMs: ({ full }) => (full ? 400_000 : 280_000),
  run: async ({ full }) => {
    const disk = temporaryDirectory();
    mount('mount', '-t', 'tmpfs', '-o', `size=${DISK},mode=700`, 'tmpfs', disk.path);
    try {
      return await onStack(
        { protocol: 'http/protobuf', ringBytes: RING_BYTES, stateDirectory: disk.path },
        async (stack) => {
          await stack.collector.stop();
          const reaper = startReaper({ rate: RATE });
          const said = await until(
            'the disk error in /status',
            FULL_WITHIN_MS,
            async () => (await stack.status())?.queue?.error ?? undefined,
            stack.service.program.output,
          );
          const problems =
            /full/.test(said) && said.includes(disk.path) ? [] : [`/status does not name the full disk: ${said}`];
          const queued = reaper.deaths();
          const ringFull = async () => Number((await stack.counters())?.lost.ring_full) > 0 || undefined;
          await until('a full ring', FULL_WITHIN_MS, ringFull, stack.loader.program.output);
          await sleep(full ? FULL_MS : SHORT_MS);
          stack.collector.start();
          const ledger = await reaper.stop();
          const note = `disk full after ${queued} deaths`;
          return await check({ stack, ledger, note, problems, mayLose: true, withinMs: SETTLED_WITHIN_MS });
        },
      );
    } finally {
      mount('umount', '--lazy', disk.path);
      disk.remove();
    }
  },
};

function mount(program: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')}: ${stderr}`);
}
