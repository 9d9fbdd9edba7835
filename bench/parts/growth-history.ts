// SPDX-License-Identifier: Apache-2.0
// Time of whole commands that read the history, as the number of records in it grows: `list --limit 20`, `show` of the oldest record, and
// `stats --since` where as many records match. The history's own code writes the records.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { NODE, SERVICE, temporaryDirectory } from '../../scripts/stack/program.ts';
import { readRecord, storeRecord } from '../../src/core/telemetry/stored.ts';
import { hrTime } from '../../src/core/time.ts';
import { History, type HistoryItem } from '../../src/io/history/writer.ts';
import { Log } from '../../src/io/log.ts';
import type { Growth } from '../figures.ts';
import { median, type Point } from '../statistics.ts';
import type { Run } from './part.ts';

const SIZES = [1_000, 20_000, 200_000];
const SIZES_QUICK = [1_000, 20_000];
const BATCH = 500;
const ROUNDS = 7;
const ROUNDS_QUICK = 3;
const BYTES_MAX = 2 ** 40;
const AGE_MS = 365 * 86_400_000;
/** Between two records: the last MATCHES are those of the last so many seconds. */
const STEP_MS = 1_000;
const MATCHES = 500;
const SERVICES = 50;
/** Brings a record to about the size of a typical one. */
const EVIDENCE = 'sent with kill(2) by the process '.repeat(20);
/** 1.5 times as much for 200 times as many records. */
const EXPONENT_MAX = Math.log(1.5) / Math.log(200);

const COMMANDS = ['list', 'show', 'stats'] as const;

export async function withHistory({ quick, progress }: Run): Promise<readonly Growth[]> {
  const points: Record<(typeof COMMANDS)[number], Point[]> = { list: [], show: [], stats: [] };
  const sizes = quick ? SIZES_QUICK : SIZES;
  for (const [index, size] of sizes.entries()) {
    const directory = temporaryDirectory();
    try {
      progress(index / sizes.length, `${size} records in the history`);
      const oldest = await fill(directory.path, size);
      const since = `@${Math.floor(Date.now() / 1000) - (MATCHES * STEP_MS) / 1000}`;
      const args = { list: ['list', '--limit', '20'], show: ['show', oldest], stats: ['stats', '--since', since] };
      const times: Record<string, number[]> = { list: [], show: [], stats: [] };
      for (let round = 0; round < (quick ? ROUNDS_QUICK : ROUNDS); round += 1)
        for (const name of COMMANDS) times[name]?.push(msOf(args[name], directory.path));
      for (const name of COMMANDS) points[name].push({ size, value: median(times[name] ?? []) });
    } finally {
      directory.remove();
    }
  }
  const common = { of: 'records in the history', unit: 'ms', exponentMax: EXPONENT_MAX } as const;
  return [
    { id: 'growth.history.list', title: 'whodunit list --limit 20', points: points.list, ...common },
    { id: 'growth.history.show', title: 'whodunit show, the oldest record', points: points.show, ...common },
    { id: 'growth.history.stats', title: `whodunit stats, ${MATCHES} records match`, points: points.stats, ...common },
  ];
}

/** Returns the uid of the oldest record. */
async function fill(directory: string, size: number): Promise<string> {
  const limits = { ageMs: AGE_MS, bytes: BYTES_MAX };
  const history = new History({ directory, limits, endpoint: '', log: new Log() });
  const startMs = Date.now() - size * STEP_MS;
  let oldest = '';
  for (let made = 0; made < size; made += BATCH) {
    const items = Array.from({ length: BATCH }, (_, i) => recordAt(startMs + (made + i) * STEP_MS, made + i));
    oldest ||= items[0]?.uid ?? '';
    history.append(items, 0);
    await new Promise(setImmediate); // so that a SIGTERM handler can run
  }
  history.close();
  return oldest;
}

function recordAt(ms: number, number: number): HistoryItem {
  const uid = randomUUID();
  const time = hrTime(BigInt(ms) * 1_000_000n);
  const name = `worker-${number % SERVICES}`;
  const record = readRecord(
    Buffer.from(
      JSON.stringify({
        eventName: 'whodunit.process.termination',
        hrTime: time,
        hrTimeObserved: time,
        severityNumber: 17,
        severityText: 'ERROR',
        body: `${name} (pid ${number}) was killed by SIGKILL`,
        attributes: {
          'log.record.uid': uid,
          'whodunit.cause': 'killed',
          'whodunit.signal.name': 'SIGKILL',
          'whodunit.sender.kind': 'process',
          'whodunit.sender.name': 'bash',
          'whodunit.evidence': [EVIDENCE],
        },
        resource: { attributes: { 'service.name': name, 'process.pid': number, 'process.owner': 'anna' } },
      }),
    ),
  );
  return { uid, origin: `${number % SERVICES} `, record: storeRecord(record) };
}

function msOf(args: readonly string[], stateDirectory: string): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(NODE, [SERVICE, ...args, '--state-dir', stateDirectory], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`whodunit ${args.join(' ')}: ${status}\n${stderr}`);
  return performance.now() - start;
}
