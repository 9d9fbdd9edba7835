// SPDX-License-Identifier: Apache-2.0
// The names of si_code values as in the kernel's header, and signals as people write them.
import { describe, expect, it } from 'vitest';
import {
  codeName,
  SIGNAL_MAX,
  signalName,
  signalNumber,
  TERMINATION_REQUESTS,
} from '../../../src/core/verdict/signals.ts';

/** include/uapi/asm-generic/siginfo.h, by the number of the signal that carries the codes. */
const HEADER: Readonly<Record<number, string>> = {
  4: `
    ILL_ILLOPC 1    illegal opcode
    ILL_ILLOPN 2    illegal operand
    ILL_ILLADR 3    illegal addressing mode
    ILL_ILLTRP 4    illegal trap
    ILL_PRVOPC 5    privileged opcode
    ILL_PRVREG 6    privileged register
    ILL_COPROC 7    coprocessor error
    ILL_BADSTK 8    internal stack error
    ILL_BADIADDR 9  unimplemented instruction address`,
  8: `
    FPE_INTDIV 1    integer divide by zero
    FPE_INTOVF 2    integer overflow
    FPE_FLTDIV 3    floating point divide by zero
    FPE_FLTOVF 4    floating point overflow
    FPE_FLTUND 5    floating point underflow
    FPE_FLTRES 6    floating point inexact result
    FPE_FLTINV 7    floating point invalid operation
    FPE_FLTSUB 8    subscript out of range`,
  11: `
    SEGV_MAPERR 1   address not mapped to object
    SEGV_ACCERR 2   invalid permissions for mapped object
    SEGV_BNDERR 3   failed address bound checks
    SEGV_PKUERR 4   failed protection key checks
    SEGV_ACCADI 5   ADI not enabled for mapped object
    SEGV_ADIDERR 6  Disrupting MCD error
    SEGV_ADIPERR 7  Precise MCD exception
    SEGV_MTEAERR 8  Asynchronous ARM MTE error
    SEGV_MTESERR 9  Synchronous ARM MTE exception
    SEGV_CPERR 10   Control protection fault`,
  7: `
    BUS_ADRALN 1    invalid address alignment
    BUS_ADRERR 2    non-existent physical address
    BUS_OBJERR 3    object specific hardware error
    BUS_MCEERR_AR 4 hardware memory error consumed on a machine check: action required
    BUS_MCEERR_AO 5 hardware memory error detected in process but not consumed: action optional`,
  5: `
    TRAP_BRKPT 1    process breakpoint
    TRAP_TRACE 2    process trace trap
    TRAP_BRANCH 3   process taken branch trap
    TRAP_HWBKPT 4   hardware breakpoint/watchpoint
    TRAP_UNK 5      undiagnosed trap
    TRAP_PERF 6     perf event with sigtrap=1`,
  31: `
    SYS_SECCOMP 1   seccomp triggered
    SYS_USER_DISPATCH 2 syscall user dispatch triggered`,
  29: `
    POLL_IN 1       data input available
    POLL_OUT 2      output buffers available
    POLL_MSG 3      input message available
    POLL_ERR 4      i/o error
    POLL_PRI 5      high priority input available
    POLL_HUP 6      device disconnected`,
};
/** The codes that any signal may have. */
const ANY_SIGNAL = `
    SI_USER 0       sent by kill, sigsend, raise
    SI_KERNEL 128   sent by the kernel from somewhere
    SI_QUEUE -1     sent by sigqueue
    SI_TIMER -2     sent by timer expiration
    SI_MESGQ -3     sent by real time mesq state change
    SI_ASYNCIO -4   sent by AIO completion
    SI_SIGIO -5     sent by queued SIGIO
    SI_TKILL -6     sent by tkill system call
    SI_DETHREAD -7  sent by execve() killing subsidiary threads
    SI_ASYNCNL -60  sent by glibc async name lookup completion`;

const rows = (signo: number, header: string): [number, number, string][] =>
  [...header.matchAll(/^ *(\w+) (-?\d+) /gm)].map(([, name, code]) => [signo, Number(code), name as string]);

describe('the name of a si_code is that of the kernel', () => {
  const own = Object.entries(HEADER).flatMap(([signo, header]) => rows(Number(signo), header));
  const general = [10, 11].flatMap((signo) => rows(signo, ANY_SIGNAL));
  it.each([...own, ...general])('signal %i, code %i: %s', (signo, code, name) => {
    expect(codeName(signo, code)).toBe(name);
  });

  it.each([
    [11, 11, 'code 11'],
    [29, 7, 'code 7'],
    [10, -8, 'code -8'],
    [10, 3, 'code 3'],
  ])('signal %i, code %i: %s, because the kernel has no name for it', (signo, code, name) => {
    expect(codeName(signo, code)).toBe(name);
  });
});

describe('the number of a signal, as people write it', () => {
  it.each([
    ['SIGKILL', 9],
    ['sigterm', 15],
    ['Hup', 1],
    ['SYS', 31],
    ['1', 1],
    ['9', 9],
    ['64', 64],
    ['SIGRTMIN', 34],
    ['RTMIN', 34],
    ['rtmin+0', 34],
    ['SIGRTMIN+2', 36],
    ['SIGRTMIN+30', 64],
  ])('%s is %i', (text, signo) => {
    expect(signalNumber(text)).toBe(signo);
  });

  it.each([
    '',
    'SIG',
    '0',
    '65',
    '009',
    'nine',
    'x9',
    '9x',
    'SIGSIGKILL',
    'KILLSIG',
    'MYSIGKILL',
    'SIGRTMIN+31',
    'SIGRTMIN+100',
    'SIGRTMIN+x',
    'SIGRTMIN-1',
    'XRTMIN',
    'SIGRTMINX',
  ])('`%s` is none', (text) => {
    expect(signalNumber(text)).toBeNull();
  });

  it('is the inverse of its name', () => {
    for (let signo = 1; signo <= SIGNAL_MAX; signo++)
      if (!signalName(signo).includes(' ')) expect([signo, signalNumber(signalName(signo))]).toEqual([signo, signo]);
  });
});

it('the signals that ask a process to terminate are SIGHUP, SIGINT, SIGQUIT and SIGTERM', () => {
  expect([...TERMINATION_REQUESTS].map(signalName)).toEqual(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM']);
});
