// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { aloneKilobytes, atHook, between, emptyAt, type ProgramCost, type Snapshot } from '../../bench/program.ts';

const HOOK = 'sched_process_exit';
const program = (id: number, name: string, hook: string, runs: number, run_time_ns: number): ProgramCost => ({
  id,
  name,
  hook,
  runs,
  run_time_ns,
});
const snapshot = (...programs: ProgramCost[]): Snapshot => ({ programs, maps: [] });

const before = snapshot(program(1, 'on_sched_proces', HOOK, 10, 1_000), program(9, 'floor_sched_pro', HOOK, 10, 500));
const after = snapshot(
  program(1, 'on_sched_proces', HOOK, 110, 11_000),
  program(2, 'on_sched_proces', HOOK, 100, 200),
  program(3, 'on_sched_proces', 'sched_process_exec', 7, 700),
  program(9, 'floor_sched_pro', HOOK, 110, 5_500),
);

it('copies of a program run for the same events, and their times add up', () => {
  expect(between(before, after, atHook(HOOK))).toEqual({ runs: 100, ns: 10_200 });
});

it('programs of the same first characters at another hook do not count', () => {
  expect(between(before, after, atHook('sched_process_exec'))).toEqual({ runs: 7, ns: 700 });
});

it('the empty program at a hook counts by itself', () => {
  expect(between(before, after, emptyAt(HOOK))).toEqual({ runs: 100, ns: 5_000 });
});

it('a hook without programs costs nothing', () => {
  expect(between(before, after, atHook('signal_generate'))).toEqual({ runs: 0, ns: 0 });
});

it('alone, a process takes its executable in full, and its share of everything else', () => {
  const mapping = (addresses: string, path: string, rss: number, pss: number) =>
    `${addresses} r-xp 00000000 fe:00 1234                       ${path}\nSize:  9000 kB\nRss:   ${rss} kB\nPss:   ${pss} kB\nPss_Dirty:  1 kB\n`;
  const smaps = [
    mapping('00400000-01000000', '/opt/node/bin/node', 30_000, 10_000),
    mapping('7f0000000000-7f0000100000', '/usr/lib/libc.so.6', 900, 30),
    mapping('7f0000200000-7f0000300000', '', 20_000, 20_000),
  ].join('');
  expect(aloneKilobytes(smaps, '/opt/node/bin/node')).toBe(50_030);
});
