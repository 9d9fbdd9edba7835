// SPDX-License-Identifier: Apache-2.0
// The origin of a signal by the task that ran, and the signals before the fatal one: who sent a request, whether it was handled, whether the process raised it again; and the signals that
// the kernel raises in a call of the process itself.
import { describe, expect, it } from 'vitest';
import {
  isCertainStop,
  isGracefulStop,
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
  victim,
} from '../../support/deadly.ts';

const [HUP, INT, QUIT, ABRT, USR1, SEGV, PIPE, TERM] = [1, 2, 3, 6, 10, 11, 13, 15];
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

describe('an exit with code 0 answers a request', () => {
  const answers = (request: Signal, changes: Partial<Death> = {}) => isGracefulStop(request, exitedWith(0, changes));
  const earlier = (signo: number, ns: bigint, changes: Partial<Signal> = {}) =>
    signal(signo, { action: 'handled', time_ns: END - ns, ...changes });

  it.each([INT, QUIT, TERM])('signal %i, which asks to stop: within ten minutes', (signo) => {
    const [within, late] = [earlier(signo, REQUEST_GRACE_NS), earlier(signo, REQUEST_GRACE_NS + 1n)];
    expect([answers(within), answers(late)]).toEqual([true, false]);
  });

  it.each([HUP, ABRT])('signal %i, which may ask for something else: within a minute', (signo) => {
    expect([answers(earlier(signo, RERAISE_NS)), answers(earlier(signo, RERAISE_NS + 1n))]).toEqual([true, false]);
  });

  it.each<[what: string, request: Signal, death: Partial<Death>, expected: boolean]>([
    ['that it ignored', earlier(TERM, 1n, { action: 'ignored' }), {}, false],
    ['that it blocked', earlier(TERM, 1n, { action: 'default' }), {}, false],
    ['of its own', earlier(TERM, 1n, { sender: itself() }), {}, false],
    ['of the terminal', kernelSignal(INT, ['isig'], { action: 'handled', time_ns: END - 1n }), {}, false],
    [
      'of the death of its parent',
      noinfoSignal(TERM, { action: 'handled', time_ns: END - 1n, sender: dying }),
      { pdeath_signal: TERM },
      false,
    ],
    [
      'whose sender is not known',
      noinfoSignal(TERM, { action: 'handled', time_ns: END - 1n, syscall_arch: null, syscall: null }),
      {},
      true,
    ],
    ['by which Java prints its threads', earlier(QUIT, 1n), { process: victim({ exe: '/usr/bin/java' }) }, false],
    [
      'by which a Java without a known executable does',
      earlier(QUIT, 1n),
      { process: victim({ exe: null, comm: 'java' }) },
      false,
    ],
    ['by which Java stops', earlier(TERM, 1n), { process: victim({ exe: '/usr/bin/java' }) }, true],
    ['by which its compiler stops', earlier(QUIT, 1n), { process: victim({ exe: '/usr/bin/javac' }) }, true],
    [
      'by which a program in its directory stops',
      earlier(QUIT, 1n),
      { process: victim({ exe: '/opt/java/bin/x' }) },
      true,
    ],
    [
      'by which a program with such a name stops',
      earlier(QUIT, 1n),
      { process: victim({ exe: '/usr/bin/myjava' }) },
      true,
    ],
  ])('%s: %s', (_, request, death, expected) => {
    expect(answers(request, death)).toBe(expected);
  });

  it.each<[what: string, request: Signal | null, exe: string, expected: boolean]>([
    ['is certain for all with its key, by the code of a call', earlier(TERM, 1n), '/usr/bin/node', true],
    ['is not, by a code that the kernel makes, too', earlier(TERM, 1n, { code: -2 }), '/usr/bin/node', false],
    ['is not, of a program with another meaning of one signal', earlier(TERM, 1n), '/usr/bin/java', false],
    ['is not, without a request', null, '/usr/bin/node', false],
  ])('%s', (_, request, exe, expected) => {
    expect(isCertainStop(exitedWith(0, { request, process: victim({ exe }) }))).toBe(expected);
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
