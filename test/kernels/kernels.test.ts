// SPDX-License-Identifier: Apache-2.0
// Checks the transcript of each booted kernel: case by case against the expectations of test/deaths, where limits.ts has everything that a
// kernel cannot show, and crash by crash against crashes.ts.
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import type { Case } from '../deaths/cases/case.ts';
import { checkCase, invented } from '../deaths/check.ts';
import { checkOnKernel, EMULATED_TOLERANCE_NS } from './check.ts';
import { CRASHES } from './crashes.ts';
import { isObserved, maySkipExits, NO_RECORD } from './limits.ts';
import { readMachine } from './machine.ts';
import { checkNoStack, checkStack } from './stack.ts';
import type { Transcript } from './transcript.ts';

const names = (process.env.WHODUNIT_TEST_KERNELS ?? '').split(',').filter((name) => name !== '');

/** Of runStorms() in test/kernels/vm/storm.go. */
const STORMS = 4;

const isOf =
  (pid: number, program: string) =>
  ({ resource }: LogRecord): boolean =>
    resource['process.pid'] === pid && resource['process.executable.name'] === program;

/** Before Linux 6.1, and without BTF, no stack can be copied, and `check` says so. */
const copiesStacks = (transcript: Transcript | null): boolean =>
  !/^degraded +stacks of crashes +not copied +.*(no maple tree|not found by observation|copy no stacks)/m.test(
    transcript?.check ?? '',
  );

/** How many terminations have no record. */
const withoutRecord = (cases: readonly Case[], transcript: Transcript | null): number =>
  cases
    .flatMap((one) =>
      checkCase(one, transcript?.truths.get(one.id) ?? [], transcript?.records ?? [], EMULATED_TOLERANCE_NS),
    )
    .filter(({ differences }) => differences.some((difference) => NO_RECORD.test(difference))).length;

describe('the kernels', () => {
  it('are named in the environment', () => expect(names).not.toEqual([]));
});

describe.each(names)('the kernel %s', (name) => {
  const { path, cases, times, symbolsOf, transcript } = readMachine(name);
  const isConfined = transcript?.runs?.confines ?? false;

  it('boots, loads the probes, and runs to the end', () => {
    expect(transcript?.failures.get('')).toBeUndefined();
    expect(transcript?.unreadable).toEqual([]);
    expect(transcript?.ended, `see ${path}`).toBe(true);
  });

  // Not registered elsewhere: a test that is skipped is a failure in CI.
  if (isObserved(transcript))
    it('finds the same types each time', () => {
      const [first, ...rest] = transcript?.calibrated ?? [];
      expect(first?.found, first?.output).toMatchObject({ missing: null });
      for (const { found, output } of rest) expect(found?.offsets, output).toEqual(first?.found?.offsets);
    });

  if (transcript !== null && transcript.described !== null)
    it('finds each field where the types of the kernel have it, which are hidden from the loader', () =>
      expect(transcript.calibrated.at(-1)?.found?.offsets).toMatchObject(transcript.described ?? {}));

  if (isConfined) {
    it('serves under the AppArmor profile that is shipped, and without one', () => {
      expect(transcript?.confined.get('whodunit-loader')).toMatchObject({ served: true, code: 0 });
      expect(transcript?.confined.get('whodunit-loader')?.check).not.toMatch(/MISSING|forbids/);
    });

    it.each([
      [
        "Docker's AppArmor profile",
        'docker-default',
        77,
        /AppArmor profile docker-default .*apparmor=unconfined.*appArmorProfile: \{type: Unconfined\}/,
      ],
      ['lockdown', 'lockdown', 69, /lockdown mode is confidentiality.*lockdown=integrity/],
      [
        'a lockdown that it cannot see, in a container',
        'lockdown, hidden',
        69,
        /lockdown mode is confidentiality.*lockdown=integrity/,
      ],
    ])('names what forbids the probes, and what permits them: %s', (_, by, code, message) => {
      const start = transcript?.confined.get(by);
      expect(start).toMatchObject({ served: false, code, left: null });
      expect(start?.run).toMatch(message);
      expect(start?.run.trim().split('\n')).toHaveLength(1);
      expect(start?.check).toMatch(/^MISSING/m);
      expect(start?.check).toMatch(
        by === 'docker-default' ? /AppArmor profile docker-default forbids/ : /lockdown=integrity/,
      );
    });
  }

  it.each(cases.map((one) => [`${one.name} (${one.id})`, one] as const))('%s', (_, one) => {
    if (transcript === null) throw new Error(`there is no ${path}`);
    expect(checkOnKernel(one, transcript).differences).toEqual([]);
  });

  it.each(times > 0 ? CRASHES : [])('$name ($id): its functions and why, each time', (crash) => {
    const pids = transcript?.crashed.get(crash.id) ?? [];
    expect(pids, transcript?.failures.get(crash.id)).toHaveLength(times);
    const symbols = symbolsOf(crash.program);
    for (const pid of pids) {
      const records = transcript?.records.filter(isOf(pid, crash.program)) ?? [];
      expect(records).toHaveLength(1);
      for (const record of records)
        expect(copiesStacks(transcript) ? checkStack(crash, record, symbols) : checkNoStack(record)).toEqual([]);
    }
  });

  if (transcript?.runs?.storms)
    it('in a storm, each termination has a record with its status, is counted as lost, or lies in a gap', () => {
      expect(transcript.storms).toHaveLength(STORMS);
      for (const storm of transcript.storms) {
        expect(storm).toMatchObject({ wrong: 0, reported: storm.happened - storm.absent });
        expect(storm.lost, JSON.stringify(storm)).toBeGreaterThanOrEqual(storm.absent - storm.in_gap);
        expect(storm.lost, JSON.stringify(storm)).toBeLessThanOrEqual(storm.absent);
      }
    });

  it('there are no records without a termination, no duplicate records, and no losses', () => {
    const seen = [...[...(transcript?.truths.values() ?? [])].flat(), ...(transcript?.discarded ?? [])];
    const failed = [...(transcript?.failures.keys() ?? [])];
    const isMortal = ({ resource }: LogRecord) => resource['process.executable.name'] === 'mortal';
    expect(invented(transcript?.records ?? [], seen, failed, isMortal, EMULATED_TOLERANCE_NS)).toEqual([]);
    expect(transcript?.repeated).toEqual([]);
    // `missed` matters most: a kernel that skips a probe may lose a termination that is in no case (docs/kernel-facts.md, section 6).
    const absent = maySkipExits(transcript) ? withoutRecord(cases, transcript) : 0;
    expect(transcript?.status?.lost).toMatchObject({ ring_full: 0n, memory_full: 0n, undecodable: 0n });
    expect(Number(transcript?.status?.lost.missed)).toBeGreaterThanOrEqual(absent);
    if (!maySkipExits(transcript)) expect(transcript?.status?.lost.missed).toBe(0n);
  });
});
