// SPDX-License-Identifier: Apache-2.0
// The queue file is damaged while the service is down: truncated, overwritten in places, or at its beginning, with thousands of records in
// it. The service must start, set the file aside, deliver what can still be read, and count the rest.
import { closeSync, fstatSync, ftruncateSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { chance } from './chance.ts';
import { startReaper } from './reap.ts';
import { check, type Result, type Scenario, sum } from './scenario.ts';
import { acknowledged, onStack, stateDirectory } from './stack.ts';

const RATE = 500;
const SHORT_DEATHS = 1_000;
const FULL_DEATHS = 10_000;
const QUEUED_WITHIN_MS = 60_000;
const FILE = 'queue.db';
/** The first page only locates the tables: losing it loses no record. The next pages have the counters, which must survive to count the losses. */
const PAGE_BYTES = 8_192;
const HEAD_BYTES = 65_536;
const SCRAMBLED_PLACES = 10;
const SCRAMBLED_BYTES = 512;

interface Damage {
  readonly name: string;
  readonly mayLose: boolean;
  /** SQLite detects the damage, so the file must be set aside. Otherwise the damage may be in records, where only the CRC detects it. */
  readonly detectedBySqlite: boolean;
  readonly to: (file: number, size: number, random: () => number) => void;
}

const DAMAGES: readonly Damage[] = [
  {
    name: 'truncated',
    mayLose: true,
    detectedBySqlite: true,
    to: (file, size, random) => ftruncateSync(file, HEAD_BYTES + Math.floor(random() * (size - HEAD_BYTES))),
  },
  {
    name: 'overwritten',
    mayLose: true,
    detectedBySqlite: false,
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
    detectedBySqlite: true,
    to: (file) => void writeSync(file, Buffer.alloc(PAGE_BYTES, 0xa5), 0, PAGE_BYTES, 0),
  },
];

export const queueDamaged: Scenario = {
  key: 'e',
  name: `the queue file is damaged (${DAMAGES.map(({ name }) => name).join(', ')})`,
  withinMs: () => 450_000,
  run: async ({ full, seed }) => {
    const random = chance(seed);
    const results: Result[] = [];
    for (const damage of DAMAGES) results.push(await runDamage(damage, random, full ? FULL_DEATHS : SHORT_DEATHS));
    return results.reduce(sum);
  },
};

async function runDamage(
  { name, mayLose, detectedBySqlite, to }: Damage,
  random: () => number,
  deaths: number,
): Promise<Result> {
  return await onStack({ protocol: 'http/protobuf' }, async (stack) => {
    await stack.collector.stop();
    const ledger = await startReaper({ rate: RATE, count: deaths }).ended;
    await acknowledged(stack, QUEUED_WITHIN_MS);
    // A stopped service has checkpointed its write-ahead log: all records are in the file.
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
    const result = await check({ stack, ledger, mayLose });
    const problems = [...result.problems];
    const aside = readdirSync(directory).filter((name) => name !== FILE && /damaged/.test(name));
    if (detectedBySqlite && aside.length === 0) problems.push(`${name}: no damaged file was set aside`);
    if (!/damaged/.test(stack.service.program.output())) problems.push(`${name}: the service did not log it`);
    return { ...result, note: `${name}: ${result.lost} lost`, problems };
  });
}
