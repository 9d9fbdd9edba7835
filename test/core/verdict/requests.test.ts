// SPDX-License-Identifier: Apache-2.0
// The origin of a signal by the task that ran, and the signals before the fatal one: who sent a request, whether it was handled, whether the process raised it again; and the signals that
// the kernel raises in a call of the process itself.
import { describe, expect, it } from 'vitest';
import {
  isRaisedAgain,
  isRaisedInOwnCall,
  isVictim,
  originOf,
  REQUEST_GRACE_NS,
  RERAISE_NS,
  requestOriginOf,
  wasHandled,
} from '../../../src/core/verdict/origin.ts';
import type { Death, Signal } from '../../../src/core/wire/event.ts';
import {
  actor,
  END,
  exitedWith,
  fault,
  itself,
  kernelSignal,
  killedBy,
  noinfoSignal,
  signal,
} from '../../support/deadly.ts';

const [HUP, INT, QUIT, USR1, SEGV, PIPE, TERM] = [1, 2, 3, 10, 11, 13, 15];
const dying = actor({ exiting: true });

describe('a task that ran, but cannot have made the call', () => {
  const kthread = actor({ pid: 31, kthread: true });
  const idle = actor({ pid: 0 });
  const unknown = { syscall: null, syscall_arch: null };
  const SI_TIMER = -2;
  it.each<[what: string, sent: Signal, origin: string]>([
    ['a kernel thread, with a code of a call', signal(TERM, { sender: kthread }), 'kernel'],
    ['a kernel thread, without siginfo', noinfoSignal(TERM, { syscall: 62, sender: kthread }), 'unknown'],
    ['the idle task, with a code of a call', signal(TERM, { sender: idle }), 'unknown'],
    ['the idle task, without siginfo', noinfoSignal(TERM, { syscall: 62, sender: idle }), 'unknown'],
    [
      'the idle task, with a code that the kernel makes',
      signal(TERM, { ...unknown, code: SI_TIMER, sender: idle }),
      'kernel',
    ],
    ['another task, with a code that the kernel makes', signal(TERM, { ...unknown, code: SI_TIMER }), 'unknown'],
    ['an exiting task, without siginfo', noinfoSignal(TERM, { syscall: 62, sender: dying }), 'unknown'],
    ['an exiting task, with a code of a call: it made it', signal(TERM, { sender: dying }), 'process'],
    ['any task, with a mark of the kernel', kernelSignal(TERM, [], { code: 0, syscall: 62 }), 'kernel'],
    ['any task, with a mark of the kernel and the frame of a call', kernelSignal(TERM, ['do_tkill']), 'kernel'],
  ])('%s', (_, sent, origin) => {
    expect(originOf(sent, killedBy(TERM))).toBe(origin);
  });
});

describe('the origin of a request', () => {
  const pdeath = { pdeath_signal: TERM };
  it.each<[what: string, request: Signal, death: Partial<Death>, origin: string]>([
    ['kill(2)', signal(TERM), {}, 'process'],
    ['kill(2) to itself', signal(TERM, { sender: itself() }), {}, 'self'],
    ['Ctrl-C', kernelSignal(INT), {}, 'kernel'],
    ['a hangup, which has no siginfo', noinfoSignal(HUP, { kernel_stack: ['tty_vhangup'] }), {}, 'kernel'],
    ['SIGHUP without siginfo or frame', noinfoSignal(HUP), {}, 'unknown'],
    ['PR_SET_PDEATHSIG', noinfoSignal(TERM, { sender: dying }), pdeath, 'kernel'],
    [
      'kill(2) by the exiting parent, although PR_SET_PDEATHSIG is set',
      signal(TERM, { sender: dying }),
      pdeath,
      'process',
    ],
    ['kill(2) without siginfo by the parent, before it exits', noinfoSignal(TERM, { syscall: 62 }), pdeath, 'process'],
    ['PR_SET_PDEATHSIG is another signal', noinfoSignal(HUP, { sender: dying }), pdeath, 'unknown'],
    ['an exiting task without PR_SET_PDEATHSIG', noinfoSignal(TERM, { sender: dying }), {}, 'unknown'],
  ])('%s', (_, request, death, origin) => {
    expect(requestOriginOf(request, exitedWith(0, death))).toBe(origin);
  });
});

describe('a request was handled, and what follows is its consequence', () => {
  const handled = (signo: number, ns: bigint, changes: Partial<Signal> = {}) =>
    wasHandled(signal(signo, { action: 'handled', time_ns: END - ns, ...changes }), END);

  it.each([HUP, INT, QUIT, TERM])('signal %i, which asks to terminate: for ten minutes', (signo) => {
    expect([handled(signo, REQUEST_GRACE_NS), handled(signo, REQUEST_GRACE_NS + 1n)]).toEqual([true, false]);
  });

  it('another signal: for a minute', () => {
    expect([handled(USR1, RERAISE_NS), handled(USR1, RERAISE_NS + 1n)]).toEqual([true, false]);
    expect([REQUEST_GRACE_NS, RERAISE_NS]).toEqual([600_000_000_000n, 60_000_000_000n]);
  });

  it.each(['default', 'ignored'] as const)('not with the action %s', (action) => {
    expect(handled(TERM, 0n, { action })).toBe(false);
  });
});

describe('a signal that the process raised again after its handler', () => {
  const request = signal(SEGV, { action: 'handled', time_ns: 1_000n });
  it.each<[what: string, death: Partial<Death>, expected: boolean]>([
    ['the same signal', { request }, true],
    ['another signal', { request: { ...request, signo: TERM } }, false],
    ['one that was not handled', { request: { ...request, action: 'default' } }, false],
    ['no request', {}, false],
    ['after a fault of the same signal', { request, handled_fault: fault(SEGV, 1, { time_ns: 1_001n }) }, false],
    ['a fault at the same time', { request, handled_fault: fault(SEGV, 1, { time_ns: 1_000n }) }, true],
    ['a fault before the request', { request, handled_fault: fault(SEGV, 1, { time_ns: 999n }) }, true],
    ['a fault of another signal', { request, handled_fault: fault(8, 1, { time_ns: 1_001n }) }, true],
  ])('%s: %s', (_, death, expected) => {
    const fatal = signal(SEGV, { code: -6, sender: itself(), time_ns: 2_000n });
    expect(isRaisedAgain(fatal, killedBy(SEGV, death))).toBe(expected);
  });
});

describe('a signal that the kernel raised in a call of the process', () => {
  it.each<[what: string, raised: Signal | null, expected: boolean]>([
    ['in write(2)', noinfoSignal(PIPE, { syscall: 1, sender: itself() }), true],
    ['with a mark of the kernel', kernelSignal(PIPE, [], { sender: itself() }), true],
    ['with siginfo', signal(PIPE, { syscall: 1, sender: itself() }), false],
    ['in kill(2)', noinfoSignal(PIPE, { syscall: 62, sender: itself() }), false],
    ['in a call of another process', noinfoSignal(PIPE, { syscall: 1 }), false],
    ['no signal was recorded', null, false],
  ])('%s: %s', (_, raised, expected) => {
    expect(isRaisedInOwnCall(raised, killedBy(PIPE))).toBe(expected);
  });
});

it('the victim is known by its pid and its start time', () => {
  const death = killedBy(TERM);
  expect(
    [itself(), itself({ pid: 1 }), itself({ start_boottime_ns: 1n })].map((task) => isVictim(task, death)),
  ).toEqual([true, false, false]);
});
