// SPDX-License-Identifier: Apache-2.0
// The process whose act made the kernel send the signal: which one it is, what it did, and when no process is named.
import { describe, expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import { sessionLabel } from '../../../src/core/verdict/trigger.ts';
import type { Actor, Death, Signal } from '../../../src/core/wire/event.ts';
import { actor, END, exitedWith, itself, kernelSignal, killedBy, noinfoSignal, signal } from '../../support/deadly.ts';

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

describe('the session of an sshd', () => {
  const label = (title: string | null, exe: string | null = '/usr/sbin/sshd') =>
    sessionLabel(actor({ exe, args: title === null ? null : [title] }));

  it.each<[title: string, session: string]>([
    ['sshd: alice@pts/0', 'alice@pts/0'],
    ['sshd: alice@pts/10  ', 'alice@pts/10'],
    ['sshd: EXAMPLE\\alice.b-c@notty', 'EXAMPLE\\alice.b-c@notty'],
    ['sshd-session: bob@pts/3', 'bob@pts/3'],
  ])('is in its title: %s', (title, session) => {
    expect(label(title)).toBe(` of the SSH session ${session}`);
  });

  it('is in the title of the program that OpenSSH 9.8 and later has for a session', () => {
    expect(label('sshd-session: bob@pts/3', '/usr/lib/openssh/sshd-session')).toBe(' of the SSH session bob@pts/3');
  });

  it.each<[what: string, title: string | null, exe?: string | null]>([
    ['the one that listens', 'sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups'],
    ['the one with privileges', 'sshd: alice [priv]'],
    ['text after the session', 'sshd: alice@pts/0 is closed'],
    ['text before the title', 'not sshd: alice@pts/0'],
    ['a name with spaces', 'sshd: alice or bob@pts/0'],
    ['a name without end', `sshd: ${'a'.repeat(65)}@pts/0`],
    ['no title', null],
    ['the program is not known', 'sshd: alice@pts/0', null],
    ['another program with that title', 'sshd: alice@pts/0', '/home/mallory/x'],
    ['another program with such a name', 'sshd: alice@pts/0', '/usr/sbin/sshd-keygen'],
    ['a program with that name in front', 'sshd: alice@pts/0', '/usr/sbin/sshd/x'],
  ])('is not said: %s', (_, title, exe) => {
    expect(label(title, exe)).toBe('');
  });
});
