// SPDX-License-Identifier: Apache-2.0
// The process whose act made the kernel send the signal: which one it is, what it did, and when no process is named.
import { describe, expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import { sessionLabel } from '../../../src/core/verdict/trigger.ts';
import type { Actor, Death, Signal } from '../../../src/core/wire/event.ts';
import {
  actor,
  END,
  exitedWith,
  itself,
  kernelSignal,
  killedBy,
  noinfoSignal,
  signal,
  victim,
} from '../../support/deadly.ts';

const [HUP, TERM] = [1, 15];
const sshd = actor({ pid: 812, comm: 'sshd', exe: '/usr/sbin/sshd', args: ['sshd: alice@pts/0'] });
const leader = actor({ pid: 70, comm: 'bash', exe: null, args: null, exiting: true });

/** SIGHUP of the kernel, while this process was in these functions. */
const hangup = (stack: string[], sender: Actor = sshd, changes: Partial<Signal> = {}): Death =>
  killedBy(HUP, { signal: kernelSignal(HUP, ['__tty_hangup', ...stack], { sender, ...changes }) });
const answerOf = (death: Death) => {
  const { trigger, evidence } = classify(death);
  return { act: trigger?.act ?? null, pid: trigger?.task.pid ?? null, said: evidence.slice(1).filter(isOfTrigger) };
};
const isOfTrigger = (line: string) => !line.startsWith('kernel stack');
const NO_TRIGGER = { act: null, pid: null, said: [] };

describe('a hangup names the process', () => {
  it.each(['pty_close', 'tty_release', 'tty_vhangup_self', 'ksys_vhangup'])('that closed the terminal: %s', (frame) => {
    expect(answerOf(hangup([frame]))).toEqual({
      act: 'closed_terminal',
      pid: 812,
      said: ['sshd (pid 812) closed the terminal of the SSH session alice@pts/0'],
    });
  });

  it('that led the session, and terminated', () => {
    expect(answerOf(hangup(['disassociate_ctty'], leader))).toEqual({
      act: 'session_ended',
      pid: 70,
      said: ['bash (pid 70), the leader of the session, terminated'],
    });
  });

  it('that closed the terminal, also if the hangup was handled and the process then exited', () => {
    const request = kernelSignal(HUP, ['tty_vhangup', 'tty_release'], {
      sender: sshd,
      action: 'handled',
      time_ns: END,
    });
    expect(answerOf(exitedWith(129, { request }))).toMatchObject({ act: 'closed_terminal', pid: 812 });
  });
});

describe('a hangup names no process', () => {
  it.each<[why: string, death: Death]>([
    ['a leader that goes on gave up its terminal (TIOCNOTTY)', hangup(['disassociate_ctty'], sshd)],
    ['a process that exits is not known to lead the session', hangup([], leader)],
    ['the functions say neither', hangup(['n_tty_ioctl'])],
    ['a kernel thread closed the file for another process', hangup(['tty_release'], actor({ kthread: true }))],
    ['no process was running', hangup(['tty_release'], actor({ pid: 0 }))],
    ['the process hung up its own terminal', hangup(['tty_release'], itself())],
  ])('%s', (_, death) => {
    expect(answerOf(death)).toEqual(NO_TRIGGER);
  });

  it('for another signal, although the terminal was closed then', () => {
    const { trigger } = classify(killedBy(TERM, { signal: kernelSignal(TERM, ['tty_release'], { sender: sshd }) }));
    expect(trigger).toBeNull();
  });

  it('for a SIGHUP that another process sent', () => {
    const { trigger, sender } = classify(killedBy(HUP, { signal: signal(HUP, { sender: sshd }) }));
    expect([trigger, sender?.pid]).toEqual([null, 812]);
  });
});

describe('the parent is named that PR_SET_PDEATHSIG is about', () => {
  it.each([
    ['the whole process ended', false, 'parent_ended'],
    ['the thread that had started it ended', true, 'thread_ended'],
  ] as const)('%s', (_, process_lives, act) => {
    const sender = actor({ pid: 7, exiting: true, process_lives });
    const { trigger } = classify(killedBy(TERM, { pdeath_signal: TERM, signal: noinfoSignal(TERM, { sender }) }));
    expect([trigger?.act, trigger?.task.pid]).toEqual([act, 7]);
  });
});

describe('the session in the evidence', () => {
  it.each([
    [null, ''],
    [{ name: null, address: null }, ''],
    [{ name: 'alice@pts/0', address: null }, ' of the SSH session alice@pts/0'],
    [{ name: 'alice@pts/0', address: '192.0.2.7' }, ' of the SSH session alice@pts/0 from 192.0.2.7'],
    [{ name: null, address: '192.0.2.7' }, ' of an SSH session from 192.0.2.7'],
  ])('%j: %s', (session, words) => {
    expect(sessionLabel(session)).toBe(words);
  });

  it('has the address that the victim has in its environment', () => {
    const process = victim({ env: { SSH_CONNECTION: '192.0.2.7 50022 10.0.0.1 22' } });
    expect(answerOf({ ...hangup(['tty_release']), process }).said).toEqual([
      'sshd (pid 812) closed the terminal of the SSH session alice@pts/0 from 192.0.2.7',
    ]);
  });
});
