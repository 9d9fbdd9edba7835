// SPDX-License-Identifier: Apache-2.0
// The queue's file is damaged while the service is down: cut off, overwritten in places, or at its beginning, with thousands of deaths in
// it. The service must start, set the file aside, deliver what can still be read, and count the rest.
import { closeSync, fstatSync, ftruncateSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { chance } from './chance.ts';
import { startReaper } from './reap.ts';
import { judge, type Result, type Scenario, sum } from './scenario.ts';
import { acknowledged, onStack, stateDirectory } from './stack.ts';

const RATE = 500;
const SHORT_DEATHS = 1_000;
const FULL_DEATHS = 10_000;
const QUEUED_WITHIN_MS = 60_000;
const FILE = 'queue.db';
/** The first page says where the tables begin: nothing is lost with it. The counters are in one of the next: without them nothing can be counted. */
const PAGE_BYTES = 8_192;
const HEAD_BYTES = 65_536;
const SCRAMBLED_PLACES = 10;
const SCRAMBLED_BYTES = 512;

interface Damage {
  readonly name: string;
  readonly mayLose: boolean;
  /** SQLite cannot miss it, and the file is set aside. What is scrambled may lie in the records, which their CRC detects. */
  readonly inTheOpen: boolean;
  readonly to: (file: number, size: number, random: () => number) => void;
}

const DAMAGES: readonly Damage[] = [
  {
    name: 'truncated',
    mayLose: true,
    inTheOpen: true,
    to: (file, size, random) => ftruncateSync(file, HEAD_BYTES + Math.floor(random() * (size - HEAD_BYTES))),
  },
  {
    name: 'overwritten',
    mayLose: true,
    inTheOpen: false,
    to: (file, size, random) => {
      for (let place = 0; place < SCRAMBLED_PLACES; place += 1) {
        const at = HEAD_BYTES + Math.floor(random() * (size - HEAD_BYTES - SCRAMBLED_BYTES));
        writeSync(file, Buffer.alloc(SCRAMBLED_BYTES, 0xa5), 0, SCRAMBLED_BYTES, at);
      }
    },
  },
  {
    name: 'first page lost',
    mayLose: false,
    inTheOpen: true,
    to: (file) => void writeSync(file, Buffer.alloc(PAGE_BYTES, 0xa5), 0, PAGE_BYTES, 0),
  },
];

export const queueDamaged: Scenario = {
  key: 'e',
  name: `the queue's file is damaged (${DAMAGES.map(({ name }) => name).join(', ')})`,
  withinMs: () => 450_000,
  run: async ({ full, seed }) => {
    const random = chance(seed);
    const results: Result[] = [];
    for (const damage of DAMAGES) results.push(await once(damage, random, full ? FULL_DEATHS : SHORT_DEATHS));
    return results.reduce(sum);
  },
};

async function once({ name, mayLose, inTheOpen, to }: Damage, random: () => number, deaths: number): Promise<Result> {
  return await onStack({ protocol: 'http/protobuf' }, async (stack) => {
    await stack.collector.stop();
    const ledger = await startReaper({ rate: RATE, count: deaths }).ended;
    await acknowledged(stack, QUEUED_WITHIN_MS);
    // A service that is stopped has emptied its log into the file: all of it is there to be damaged.
    await stack.service.stop();
    const directory = stateDirectory(stack.at);
    const file = openSync(join(directory, FILE), 'r+');
    try {
      to(file, fstatSync(file).size, random);
    } finally {
      closeSync(file);
    }
    stack.service.start();
    await stack.serviceReady();
    stack.collector.start();
    const result = await judge({ stack, ledger, mayLose });
    const problems = [...result.problems];
    const aside = readdirSync(directory).filter((name) => name !== FILE && /damaged/.test(name));
    if (inTheOpen && aside.length === 0) problems.push(`${name}: no damaged file was set aside`);
    if (!/damaged/.test(stack.service.program.output())) problems.push(`${name}: the service said nothing of it`);
    return { ...result, note: `${name}: ${result.lost} lost`, problems };
  });
}
