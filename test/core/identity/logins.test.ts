// SPDX-License-Identifier: Apache-2.0
// What a record says of logins, and that WHODUNIT_LOGINS=off leaves out all of it.
import { describe, expect, it } from 'vitest';
import { withoutLogins } from '../../../src/core/identity/logins.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import { recordOf } from '../../support/circumstances.ts';
import { actor, kernelSignal, killedBy, signal, victim } from '../../support/deadly.ts';

const CONNECTION = { SSH_CONNECTION: '192.0.2.7 50022 10.0.0.1 22' };

describe('a hangup of an SSH session', () => {
  const death: Death = killedBy(1, {
    process: victim({ env: { ...CONNECTION, OTEL_SERVICE_NAME: 'shop' } }),
    signal: kernelSignal(1, ['tty_release'], {
      sender: actor({ uid: 0, comm: 'sshd', exe: '/usr/sbin/sshd', args: ['sshd: alice@pts/0'], ancestors: [] }),
    }),
  });

  it('has the address in the sentence, and as an attribute', () => {
    const { body, attributes } = recordOf(death);
    expect(body).toContain(
      'its terminal of the SSH session alice@pts/0 from 192.0.2.7 was closed by sshd (pid 99, root)',
    );
    expect(attributes).toMatchObject({ 'whodunit.trigger.client.address': '192.0.2.7' });
  });

  it('has neither address nor login without logins, and still its service', () => {
    const record = recordOf(withoutLogins(death));
    expect(record.body).toContain('its terminal was closed by sshd (pid 99, root)');
    expect(JSON.stringify([record.body, record.attributes])).not.toMatch(/192\.0\.2|alice@/);
    expect(record.resource.attributes).toMatchObject({ 'service.name': 'shop' });
  });
});

it('without logins, nothing is said of those of a process that had stopped the victim', () => {
  const sender = actor({ login_uid: 1000, session: 3, env: { SUDO_USER: 'alice' } });
  const stop = { since_ns: null, continued_ns: null, signal: signal(19, { sender }) };
  expect(withoutLogins(killedBy(9, { stop })).stop?.signal.sender).toMatchObject({
    login_uid: null,
    session: null,
    env: null,
  });
});

it('without logins, a process whose environment is not known has none', () => {
  expect(withoutLogins(killedBy(9, { process: victim({ env: null }) })).process.env).toBeNull();
});
