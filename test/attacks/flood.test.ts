// SPDX-License-Identifier: Apache-2.0
// Users whose processes terminate as fast as the machine can, while root's terminate now and then: each of root's is reported, with all
// of its parts, however many cgroups and user ids the users have.
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type Cgroup, makeCgroup } from '../../scripts/stack/cgroup.ts';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { ATTACKER, MORTAL, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';
import { ALICE, asUser, awaitFirstLine, MALLORY, startAs } from './attacker.ts';

const WITHIN_MS = 120_000;
const VICTIMS = 8;
const VICTIM_EVERY_MS = 200;
const EXIT_CODE = 3;
const DELEGATED_CGROUPS = 4_000;
const SUBORDINATE_IDS = 4_000;
const FIRST_SUBORDINATE_ID = 200_000;

/** A small ring, which a flood fills within a second. The budget of the service is larger than the number of victims. */
const both = watched(
  { WHODUNIT_REPORT: 'all', WHODUNIT_RECORDS_PER_MINUTE: '60' },
  { WHODUNIT_RING_BYTES: String(1 << 20) },
);

const floods: Program[] = [];
afterEach(async () => {
  for (const flood of floods.splice(0)) {
    flood.child.kill('SIGKILL');
    await flood.ended;
  }
});

/** Starts two processes that flood. */
async function startFlood(start: (number: number) => Program): Promise<void> {
  for (let number = 0; number < 2; number += 1) floods.push(await awaitFirstLine(start(number)));
}

let top: Cgroup | undefined;
afterAll(() => {
  if (top !== undefined) spawnSync('find', [dirname(top.directory), '-depth', '-type', 'd', '-delete']);
});

/** A cgroup that root has given to MALLORY, with one below it for each process that floods. */
function delegated(): Cgroup {
  top = makeCgroup('hers');
  for (const directory of [top.directory, join(top.directory, '0'), join(top.directory, '1')]) {
    mkdirSync(directory, { recursive: true });
    for (const path of [directory, join(directory, 'cgroup.procs')]) chownSync(path, MALLORY, MALLORY);
  }
  return top;
}

let marks = 0;

/** A victim of root, or of a user. */
async function runVictim(uid: number): Promise<number> {
  marks += 1;
  const args = ['exit', String(EXIT_CODE), `victim-${process.pid}-${marks}`];
  const victim = uid === 0 ? startProgram(MORTAL, args) : startAs(uid, MORTAL, args);
  expect(await victim.ended).toEqual({ code: EXIT_CODE, signal: null });
  return victim.pid;
}

/** What the record of a victim has, in the middle of a flood: `whole`, or what it lacks. */
async function fates(uid: number): Promise<string[]> {
  const pids: number[] = [];
  for (let i = 0; i < VICTIMS; i += 1) {
    await sleep(VICTIM_EVERY_MS);
    pids.push(await runVictim(uid));
  }
  await endFloods();
  const found = (): (LogRecord | undefined)[] => {
    const logs = both.collector.logs();
    return pids.map((pid) => logs.find(({ resource }) => resource['process.pid'] === pid));
  };
  const last = await runVictim(uid);
  await until(
    'the record of a later victim',
    WITHIN_MS,
    () => both.collector.logs().some(({ resource }) => resource['process.pid'] === last) || undefined,
    both.whodunit.service.output,
  );
  return found().map(fateOf);
}

async function endFloods(): Promise<void> {
  for (const flood of floods.splice(0)) {
    expect(flood.alive()).toBe(true);
    flood.child.kill('SIGKILL');
    await flood.ended;
  }
}

function fateOf(record: LogRecord | undefined): string {
  if (record === undefined) return 'no record';
  const lacks = [
    ...(Array.isArray(record.resource['process.command_args']) ? [] : ['arguments']),
    ...(String(record.attributes['whodunit.evidence']).includes('nearly full') ? ['other parts'] : []),
  ];
  return lacks.length === 0 ? 'whole' : `no ${lacks.join(', ')}`;
}

const ALL_WHOLE = Array.from({ length: VICTIMS }, () => 'whole');

describe('a flood does not hide a termination of another user', () => {
  it('of processes that exit with 1', async () => {
    await startFlood(() => startAs(MALLORY, ATTACKER, ['exits']));
    expect(await fates(0)).toEqual(ALL_WHOLE);
  });

  it('of processes that exit with one code after the other', async () => {
    await startFlood(() => startAs(MALLORY, ATTACKER, ['exits', 'varied']));
    expect(await fates(ALICE)).toEqual(ALL_WHOLE);
  });

  it(`from ${DELEGATED_CGROUPS} cgroups below one that was delegated to the user`, async () => {
    const { directory, enter } = delegated();
    await startFlood((number) => {
      const own = join(directory, String(number));
      const [program = '', ...args] = enter(asUser(MALLORY, ATTACKER, ['cgroups', own, String(DELEGATED_CGROUPS)]));
      return startProgram(program, args);
    });
    expect(await fates(ALICE)).toEqual(ALL_WHOLE);
  });

  it(`of ${SUBORDINATE_IDS} subordinate ids in a user namespace`, async () => {
    await startFlood(() => {
      const args = [ATTACKER, 'subordinates', '0', String(SUBORDINATE_IDS)];
      const flood = startAs(MALLORY, 'unshare', ['--user', '--keep-caps', '--', ...args]);
      return flood;
    });
    for (const { pid } of floods) writeFileSync(`/proc/${pid}/uid_map`, `0 ${FIRST_SUBORDINATE_ID} ${SUBORDINATE_IDS}`);
    expect(await fates(ALICE)).toEqual(ALL_WHOLE);
  });

  it(`of ${SUBORDINATE_IDS} real user ids, as a container's root has them`, async () => {
    const ids = [String(FIRST_SUBORDINATE_ID), String(SUBORDINATE_IDS)];
    await startFlood(() => startProgram(ATTACKER, ['subordinates', ...ids]));
    expect(await fates(ALICE)).toEqual(ALL_WHOLE);
  });
});
