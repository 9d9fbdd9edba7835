// SPDX-License-Identifier: Apache-2.0
// kill -9 of the service between the first termination of an incident and the record of its members. Each act kills all processes of a cgroup;
// the truth is what waitpid(2) returned to their parent, this process.
import { chmodSync, copyFileSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cgroup, makeCgroup } from '../../scripts/stack/cgroup.ts';
import { type Program, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { chance } from './chance.ts';
import { samePid, type TrueDeath } from './ledger.ts';
import { check, type Scenario } from './scenario.ts';
import { onStack, type Stack } from './stack.ts';

const SHORT_ACTS = 10;
const FULL_ACTS = 100;
/** Processes of an act, at least and at most. */
const SIZES = [4, 16] as const;
/** More than an incident lists by pid, so that the kernel counts some of them. */
const CROWD = 400;
/** Members are collected for about this time. The service is killed in three of four acts. */
const COLLECTED_MS = 1_500;
const KILLED_SHARE = 0.75;
const WITHIN_MS = 60_000;
/** Of one service, in a minute: none is aggregated. */
const RECORDS_PER_MINUTE = '10000';

export const incidents: Scenario = {
  key: 'l',
  name: 'kill -9 of the service, between an act and the record of its incident',
  withinMs: ({ full }) => (full ? 600_000 : 240_000),
  run: async ({ full, seed }) => {
    const random = chance(seed);
    const directory = temporaryDirectory();
    const [worker, crowd] = [copyOfSleep(directory.path, 'worker'), copyOfSleep(directory.path, 'crowd')];
    const env = { WHODUNIT_RECORDS_PER_MINUTE: RECORDS_PER_MINUTE };
    try {
      return await onStack({ protocol: 'http/protobuf', env }, async (stack) => {
        const acts: TrueDeath[][] = [];
        let kills = 0;
        for (let number = 0; number < (full ? FULL_ACTS : SHORT_ACTS); number += 1) {
          acts.push(await act(worker, number, random));
          const isKilled = random() < KILLED_SHARE;
          await sleep(random() * COLLECTED_MS);
          if (!isKilled) continue;
          await stack.service.kill();
          kills += 1;
        }
        const many = await actOnMany(crowd);
        await stack.service.kill();
        const groups = [...acts.map((deaths) => deaths.map(({ pid }) => pid)), many];
        await until(
          'the records of all incidents',
          WITHIN_MS,
          () => groups.every((pids) => isAll(stack, pids)) || undefined,
        ).catch(() => {}); // the account says what is missing
        const problems = groups.flatMap((pids, number) => problemsOf(stack, pids, number));
        const note = `${groups.length} acts, one of them on ${many.length} processes; the service was killed ${kills + 1}×`;
        return await check({ stack, ledger: acts.flat(), executable: worker, isAbout: samePid, problems, note });
      });
    } finally {
      directory.remove();
    }
  },
};

function copyOfSleep(directory: string, name: string): string {
  const path = join(directory, name);
  copyFileSync('/bin/sleep', path);
  chmodSync(path, 0o755);
  return path;
}

/** Starts processes in a cgroup of their own, lets another process kill them, and returns them. */
async function act(worker: string, number: number, random: () => number): Promise<TrueDeath[]> {
  const [least, most] = SIZES;
  const cgroup = makeCgroup(`incident-${number}`, 'v2');
  const programs: Program[] = [];
  const startAfter = now();
  // Arguments of their own, so that no act is one of a crash loop.
  const command = cgroup.enter([worker, String(1_000 + number)]);
  for (let left = least + random() * (most - least); left > 0; left -= 1) programs.push(start(command));
  await until('the workers', WITHIN_MS, () => programs.every(({ pid }) => executes(pid, worker)) || undefined);
  const startBefore = now();
  await kill(cgroup);
  const ended = await Promise.all(programs.map(async ({ pid, ended }) => ({ pid, ...(await ended) })));
  await cgroup.remove();
  return ended.map(({ pid, code, signal }) => {
    const status = signal === null ? (code ?? 0) << 8 : constants.signals[signal];
    return { pid, startAfter, startBefore, reapedNs: now(), status };
  });
}

/** The same with a shell and its children. Returns their pids. */
async function actOnMany(crowd: string): Promise<number[]> {
  const cgroup = makeCgroup('crowd', 'v2');
  const script = 'for i in $(seq "$1"); do "$0" 3000 & done; wait';
  const shell = start(cgroup.enter(['sh', '-c', script, crowd, String(CROWD)]));
  const pids = () =>
    readFileSync(join(cgroup.directory, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  const isUp = () => pids().filter((pid) => executes(pid, crowd)).length === CROWD;
  await until('the crowd', WITHIN_MS, () => isUp() || undefined);
  const all = pids();
  await kill(cgroup);
  await shell.ended;
  await cgroup.remove();
  return all;
}

function executes(pid: number, program: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === program;
  } catch {
    return false; // it has ended
  }
}

const start = ([program = '', ...args]: readonly string[]) => startProgram(program, args);

/** By a process of its own, so that each act has another sender. */
async function kill(cgroup: Cgroup): Promise<void> {
  const { code } = await start(['sh', '-c', 'echo 1 >"$0"', join(cgroup.directory, 'cgroup.kill')]).ended;
  if (code !== 0) throw new Error(`${cgroup.directory}/cgroup.kill could not be written`);
}

interface Found {
  /** Terminations with a record of their own. */
  readonly own: number;
  /** Terminations that the records of their incident count. */
  readonly members: number;
  /** Records of their incident with different uids. */
  readonly records: number;
}

function found(stack: Stack, pids: readonly number[]): Found {
  const wanted = new Set(pids);
  const all = stack.members();
  const inRecords = new Set(all.flatMap(({ listed }) => listed.map(({ uid }) => uid)));
  const own = stack.records().filter(({ pid, uid }) => wanted.has(pid) && !inRecords.has(uid));
  const ids = new Set(own.map(({ incident }) => incident));
  const records = new Map(all.filter(({ incident }) => ids.has(incident)).map((one) => [one.uid, one]));
  const members = [...records.values()].reduce((sum, { count }) => sum + count, 0);
  return { own: new Set(own.map(({ uid }) => uid)).size, members, records: records.size };
}

function isAll(stack: Stack, pids: readonly number[]): boolean {
  const { own, members } = found(stack, pids);
  return own + members >= pids.length;
}

function problemsOf(stack: Stack, pids: readonly number[], number: number): string[] {
  const { own, members, records } = found(stack, pids);
  const problems: string[] = [];
  if (own !== 1) problems.push(`act ${number}: ${own} of ${pids.length} terminations have a record of their own`);
  if (own + members !== pids.length)
    problems.push(
      `act ${number} terminated ${pids.length} processes; ${own} have a record, and ${members} are members`,
    );
  if (records !== 1) problems.push(`act ${number}: ${records} records of its incident`);
  return problems;
}

const now = (): bigint => BigInt(Date.now()) * 1_000_000n;
