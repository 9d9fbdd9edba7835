// SPDX-License-Identifier: Apache-2.0
// Cost of a record in the disk queue, and time to open the queue, as the number of queued records grows (a collector that is down for a
// day). The queue's code runs in this process, on the disk of the temporary directory.
import { randomBytes, randomUUID } from 'node:crypto';
import { temporaryDirectory } from '../../scripts/stack/program.ts';
import { Log } from '../../src/io/log.ts';
import { type Item, Queue } from '../../src/io/queue/queue.ts';
import { CONSTANT, LINEAR } from '../bars.ts';
import type { Growth } from '../figures.ts';
import { median, type Point } from '../statistics.ts';
import type { Run } from './part.ts';

const SIZES = [10, 1_000, 100_000, 1_000_000];
const SIZES_QUICK = [10, 20_000];
const BATCH = 512;
const ROUNDS = 15;
const BYTES_MAX = 2 ** 40;
const FILL = 5_000;
/** About the size of a typical record. The queue does not interpret the bytes. */
const RECORD_BYTES = 1_250;

export async function withQueue({ quick, progress }: Run): Promise<readonly Growth[]> {
  const directory = temporaryDirectory();
  const open = () => new Queue({ directory: directory.path, bytesMax: BYTES_MAX, log: new Log() });
  const points: Record<'put' | 'take' | 'open', Point[]> = { put: [], take: [], open: [] };
  let queue = open();
  try {
    const record = randomBytes(RECORD_BYTES);
    let filled = 0;
    const sizes = quick ? SIZES_QUICK : SIZES;
    for (const [index, size] of sizes.entries()) {
      while (filled < size) {
        progress((index + filled / size) / sizes.length, `${size} queued records`);
        const count = Math.min(FILL, size - filled);
        queue.put(items(count, record));
        filled += count;
        await new Promise(setImmediate); // so that a SIGTERM handler can run
      }
      queue.close();
      const start = performance.now();
      queue = open();
      points.open.push({ size, value: performance.now() - start });
      const put: number[] = [];
      const take: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const batch = items(BATCH, record);
        put.push(usForEach(() => queue.put(batch)));
        take.push(usForEach(() => settleBatch(queue)));
      }
      points.put.push({ size, value: median(put) });
      points.take.push({ size, value: median(take) });
    }
  } finally {
    queue.close();
    directory.remove();
  }
  const of = 'queued records';
  return [
    {
      id: 'growth.queue.put',
      title: 'writing a record durably, 512 at a time',
      of,
      unit: 'µs',
      points: points.put,
      exponentMax: CONSTANT,
    },
    {
      id: 'growth.queue.take',
      title: 'reading and settling a record, 512 at a time',
      of,
      unit: 'µs',
      points: points.take,
      exponentMax: CONSTANT,
    },
    {
      id: 'growth.queue.open',
      title: 'opening the queue at startup',
      of,
      unit: 'ms',
      points: points.open,
      exponentMax: LINEAR,
    },
  ];
}

function items(count: number, record: Uint8Array): Item[] {
  return Array.from({ length: count }, () => ({ uid: randomUUID(), origin: '', endedMs: Date.now(), record }));
}

/** Takes and settles a batch. A take returns fewer records at the end of the part of the queue that is in memory. */
function settleBatch(queue: Queue): void {
  for (let left = BATCH; left > 0; ) {
    const taken = queue.take(left, BYTES_MAX).length;
    if (taken === 0) throw new Error('the queue returned no record, although it is not empty');
    queue.settle([]);
    left -= taken;
  }
}

/** Microseconds per record of a batch. */
function usForEach(work: () => void): number {
  const start = performance.now();
  work();
  return ((performance.now() - start) * 1_000) / BATCH;
}
