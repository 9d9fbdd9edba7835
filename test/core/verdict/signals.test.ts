// SPDX-License-Identifier: Apache-2.0
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { codeName, decodeStatus, signalName } from '../../../src/core/verdict/signals.ts';
import { syscallName } from '../../../src/core/verdict/syscalls.ts';

describe('names', () => {
  it('match those of Node.js for every signal that it knows', () => {
    const aliases = new Set(['SIGIOT', 'SIGPOLL', 'SIGUNUSED']);
    for (const [name, number] of Object.entries(constants.signals))
      if (!aliases.has(name)) expect(signalName(number)).toBe(name);
  });

  it.each([
    [34, 'SIGRTMIN'],
    [36, 'SIGRTMIN+2'],
    [64, 'SIGRTMIN+30'],
    [33, 'signal 33'],
    [200, 'signal 200'],
    [0, 'signal 0'],
  ])('of signal %i is %s', (number, name) => {
    expect(signalName(number)).toBe(name);
  });

  it.each([
    [9, 0, 'SI_USER'],
    [9, 128, 'SI_KERNEL'],
    [15, -1, 'SI_QUEUE'],
    [14, -2, 'SI_TIMER'],
    [6, -6, 'SI_TKILL'],
    [11, 1, 'SEGV_MAPERR'],
    [11, 2, 'SEGV_ACCERR'],
    [7, 4, 'BUS_MCEERR_AR'],
    [8, 1, 'FPE_INTDIV'],
    [4, 2, 'ILL_ILLOPN'],
    [5, 1, 'TRAP_BRKPT'],
    [31, 1, 'SYS_SECCOMP'],
    [15, 1, 'code 1'],
    [11, 77, 'code 77'],
  ])('of signal %i with code %i is %s', (signo, code, name) => {
    expect(codeName(signo, code)).toBe(name);
  });

  it.each([
    [101, 0xc000003e, 'ptrace'],
    [101, 0xc000003e | 0, 'ptrace'],
    [117, 0xc00000b7, 'ptrace'],
    [424, 0xc00000b7, 'pidfd_send_signal'],
    [62, 0xc000003e, 'kill'],
    [9999, 0xc000003e, '9999'],
    [101, null, '101'],
    [101, 40, '101'],
  ])('of system call %i on %s is %s', (number, arch, name) => {
    expect(syscallName(number, arch)).toBe(name);
  });
});

it.each([
  [768, { signal: 0, exitCode: 3, coreDumped: false }],
  [9, { signal: 9, exitCode: 0, coreDumped: false }],
  [139, { signal: 11, exitCode: 0, coreDumped: true }],
  [65_280, { signal: 0, exitCode: 255, coreDumped: false }],
])('status %i is decoded as in wait(2)', (raw, status) => {
  expect(decodeStatus(raw)).toEqual(status);
});
