// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { sshSessionOf } from '../../../src/core/verdict/ssh-session.ts';
import { actor } from '../../support/deadly.ts';

const CONNECTION = { SSH_CONNECTION: '192.0.2.7 50022 10.0.0.1 22' };

describe('the session of an SSH server', () => {
  const sessionOf = (title: string | null, exe: string | null = '/usr/sbin/sshd', env = {}) =>
    sshSessionOf(actor({ exe, args: title === null ? null : [title] }), { env });

  it.each([
    ['sshd: alice@pts/0', 'alice@pts/0'],
    ['sshd: alice@pts/10  ', 'alice@pts/10'],
    ['sshd: EXAMPLE\\alice.b-c@notty', 'EXAMPLE\\alice.b-c@notty'],
    ['sshd-session: bob@pts/3', 'bob@pts/3'],
  ])('is in its title: %s', (title, name) => {
    expect(sessionOf(title)).toEqual({ name, address: null });
  });

  it('is in the title of the program that OpenSSH 9.8 and later has for a session', () => {
    expect(sessionOf('sshd-session: bob@pts/3', '/usr/lib/openssh/sshd-session')?.name).toBe('bob@pts/3');
  });

  it.each<[what: string, title: string | null]>([
    ['the one that listens', 'sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups'],
    ['the one with privileges', 'sshd: alice [priv]'],
    ['text after the session', 'sshd: alice@pts/0 is closed'],
    ['text before the title', 'not sshd: alice@pts/0'],
    ['a name with spaces', 'sshd: alice or bob@pts/0'],
    ['a name without end', `sshd: ${'a'.repeat(65)}@pts/0`],
    ['no title', null],
  ])('has no name: %s', (_, title) => {
    expect(sessionOf(title)).toEqual({ name: null, address: null });
  });

  it.each<[what: string, exe: string | null]>([
    ['the program is not known', null],
    ['another program with that title', '/home/mallory/x'],
    ['another program with such a name', '/usr/sbin/sshd-keygen'],
    ['a program below such a name', '/usr/sbin/sshd/x'],
  ])('is none: %s', (_, exe) => {
    expect(sessionOf('sshd: alice@pts/0', exe, CONNECTION)).toBeNull();
  });

  it.each<[what: string, value: string | undefined, address: string | null]>([
    ['an address of version 4', '192.0.2.7 50022 10.0.0.1 22', '192.0.2.7'],
    ['an address of version 6', '2001:db8::7 50022 2001:db8::1 22', '2001:db8::7'],
    ['none', undefined, null],
    ['text', 'alice was here', null],
    ['text behind it', '192.0.2.7 50022 10.0.0.1 22 and more', null],
    ['text before it', 'from 192.0.2.7 50022 10.0.0.1 22', null],
    ['a control character', '192.0.2.7\u001b 50022 10.0.0.1 22', null],
  ])('came from what a program of it has in its environment: %s', (_, value, address) => {
    const env = value === undefined ? {} : { SSH_CONNECTION: value };
    expect(sessionOf('sshd: alice@pts/0', '/usr/sbin/sshd', env)?.address).toBe(address);
  });
});
