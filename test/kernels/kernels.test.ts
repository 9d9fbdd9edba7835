// SPDX-License-Identifier: Apache-2.0
// Checks what each booted kernel showed, case by case, with the expectations of test/deaths. What a kernel cannot show is in
// limits.ts, and nowhere else.
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { invented } from '../deaths/check.ts';
import { checkOnKernel, EMULATED_TOLERANCE_NS } from './check.ts';
import { readMachine } from './machine.ts';

const names = (process.env.WHODUNIT_TEST_KERNELS ?? '').split(',').filter((name) => name !== '');

describe('the kernels', () => {
  it('were named', () => expect(names).not.toEqual([]));
});

describe.each(names)('Debian’s kernel %s', (name) => {
  const { path, cases, transcript } = readMachine(name);

  it('booted, loaded the probes, and came to its end', () => {
    expect(transcript?.failures.get('')).toBeUndefined();
    expect(transcript?.unreadable).toEqual([]);
    expect(transcript?.ended, `see ${path}`).toBe(true);
  });

  it.each(cases.map((one) => [`${one.name} (${one.id})`, one] as const))('%s', (_, one) => {
    if (transcript === null) throw new Error(`there is no ${path}`);
    expect(checkOnKernel(one, transcript).differences).toEqual([]);
  });

  it('every record is of a termination that an undertaker saw, none has two, and nothing was lost', () => {
    const seen = [...[...(transcript?.truths.values() ?? [])].flat(), ...(transcript?.discarded ?? [])];
    const failed = [...(transcript?.failures.keys() ?? [])];
    const isMortal = ({ resource }: LogRecord) => resource['process.executable.name'] === 'mortal';
    expect(invented(transcript?.records ?? [], seen, failed, isMortal, EMULATED_TOLERANCE_NS)).toEqual([]);
    expect(transcript?.repeated).toEqual([]);
    // `missed` most of all: a kernel that skips a probe loses a death that no case may be about (docs/kernel-facts.md, section 6).
    expect(transcript?.status?.lost).toMatchObject({ ring_full: 0n, memory_full: 0n, missed: 0n, undecodable: 0n });
  });
});
