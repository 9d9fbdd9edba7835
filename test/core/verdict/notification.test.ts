// SPDX-License-Identifier: Apache-2.0
// What the kernel notified a process of, and which task triggered it.
import { describe, expect, it } from 'vitest';
import { notificationEvidence, notificationOf } from '../../../src/core/verdict/notification.ts';
import type { Signal } from '../../../src/core/wire/event.ts';
import { actor, itself, kernelSignal, killedBy, noinfoSignal, signal } from '../../support/deadly.ts';

const [USR1, TERM, IO] = [10, 15, 29];
const [SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO] = [-2, -3, -4, -5];
const exiting = actor({ exiting: true });

const QUEUE = 'a notification of a message queue (mq_notify)';
const USB = 'a notification of a transfer to or from a USB device';
const DESCRIPTOR = 'a notification of a descriptor (F_SETSIG)';
const CHILD = 'a notification of the end of a child, by the signal that clone(2) chose';
const ASYNC = 'a notification of a descriptor (O_ASYNC)';

describe('a notification', () => {
  it.each<[what: string, sent: Signal, text: string | null]>([
    ['SI_MESGQ', signal(TERM, { code: SI_MESGQ }), QUEUE],
    ['SI_ASYNCIO', signal(TERM, { code: SI_ASYNCIO }), USB],
    ['SI_SIGIO', signal(TERM, { code: SI_SIGIO }), DESCRIPTOR],
    ['the frame of the end of a child', signal(TERM, { code: 1, kernel_stack: ['do_notify_parent'] }), CHILD],
    ['CLD_EXITED from an exiting task', signal(TERM, { code: 1, sender: exiting }), CHILD],
    ['CLD_CONTINUED from an exiting task', signal(TERM, { code: 6, sender: exiting }), CHILD],
    ['a code beyond CLD_CONTINUED from an exiting task', signal(TERM, { code: 7, sender: exiting }), null],
    ['SI_USER from an exiting task', signal(TERM, { code: 0, sender: exiting }), null],
    ['a code like CLD_EXITED from another task', signal(TERM, { code: 1 }), null],
    [
      'POLL_IN by the frame of a descriptor',
      signal(USR1, { code: 1, kernel_stack: ['send_sigio'] }),
      `${DESCRIPTOR}, POLL_IN`,
    ],
    ['POLL_HUP for SIGIO', signal(IO, { code: 6 }), `${DESCRIPTOR}, POLL_HUP`],
    ['a code beyond POLL_HUP for SIGIO', signal(IO, { code: 7 }), null],
    ['SI_USER for SIGIO', signal(IO), null],
    ['SI_TIMER', signal(TERM, { code: SI_TIMER }), null],
    ['SIGIO from the kernel', kernelSignal(IO), ASYNC],
    ['another signal from the kernel', kernelSignal(TERM), null],
    ['another signal from the kernel, by the frame of a descriptor', kernelSignal(USR1, ['kill_fasync']), ASYNC],
    ['SIGIO with another code', kernelSignal(IO, [], { code: 0 }), null],
    ['SIGIO without siginfo', noinfoSignal(IO, { kernel_stack: ['kill_fasync'] }), null],
  ])('%s', (_, sent, text) => {
    expect(notificationOf(sent)).toBe(text);
  });
});

describe('the task that ran when a notification was generated', () => {
  const evidence = (sent: Signal) => notificationEvidence(sent, killedBy(sent.signo));
  const bySender = ['kill_fasync', 'pipe_write', '__x64_sys_write', 'do_syscall_64'];

  it.each<[what: string, sent: Signal, lines: string[]]>([
    ['there is no notification', signal(TERM), []],
    [
      'in a call of its own, it triggered it',
      signal(IO, { code: 1, syscall: 1, kernel_stack: bySender }),
      [`${DESCRIPTOR}, POLL_IN, triggered by bash (pid 99) in write(2): not the sender`],
    ],
    [
      'in a call that is not known',
      signal(IO, { code: 1, syscall: null, kernel_stack: bySender }),
      [`${DESCRIPTOR}, POLL_IN, triggered by bash (pid 99): not the sender`],
    ],
    [
      'it is the process itself',
      signal(IO, { code: 1, syscall: 1, kernel_stack: bySender, sender: itself() }),
      [`${DESCRIPTOR}, POLL_IN, triggered by the process itself in write(2): not the sender`],
    ],
    [
      'in an interrupt, it may have nothing to do with it',
      signal(IO, { code: 1, kernel_stack: ['kill_fasync', 'irq_exit', 'do_syscall_64'] }),
      [`${DESCRIPTOR}, POLL_IN, generated while bash (pid 99) was running: not necessarily what triggered it`],
    ],
    [
      'without a stack neither, and even if it is the process itself',
      signal(IO, { code: 1, sender: itself() }),
      [`${DESCRIPTOR}, POLL_IN, generated while the process itself was running: not necessarily what triggered it`],
    ],
    [
      'a message queue is always notified by the task that sends',
      signal(TERM, { code: SI_MESGQ, syscall: 242 }),
      [`${QUEUE}, triggered by bash (pid 99) in mq_timedsend(2): not the sender`],
    ],
    [
      'a child that ends is the task, and in no call of interest',
      signal(TERM, { code: 1, syscall: 231, sender: exiting, kernel_stack: ['do_notify_parent'] }),
      [`${CHILD}, triggered by bash (pid 99): not the sender`],
    ],
    [
      'a child that may have ended',
      signal(TERM, { code: 1, syscall: 231, sender: exiting }),
      [`${CHILD}, generated while bash (pid 99) was running: not necessarily what triggered it`],
    ],
  ])('%s', (_, sent, lines) => {
    expect(evidence(sent)).toEqual(lines);
  });
});
