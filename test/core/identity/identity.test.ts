// SPDX-License-Identifier: Apache-2.0
// The identities of victim and sender, derived from the facts.
import { describe, expect, it } from 'vitest';
import { actor, death, exitedWith, killedBy, signal, victim } from '../../support/deadly.ts';
import { identitiesOf } from '../../support/derived.ts';
import { published, text } from '../../support/published.ts';

const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';

describe('the name of the service', () => {
  const name = (changes: Parameters<typeof victim>[0]) =>
    identitiesOf(death({ process: victim(changes) })).victim.serviceName;
  const nginx = '/system.slice/nginx.service';

  it.each([
    [
      'OTEL_SERVICE_NAME comes first',
      { env: { OTEL_SERVICE_NAME: 'checkout', OTEL_RESOURCE_ATTRIBUTES: 'service.name=cart' }, cgroup: nginx },
      'checkout',
    ],
    [
      'then OTEL_RESOURCE_ATTRIBUTES, decoded',
      { env: { OTEL_RESOURCE_ATTRIBUTES: 'a=b,service.name=my%20cart' }, cgroup: nginx },
      'my cart',
    ],
    ['an empty OTEL_SERVICE_NAME is ignored', { env: { OTEL_SERVICE_NAME: ' ' }, cgroup: nginx }, 'nginx'],
    [
      'then the systemd service without its suffix',
      { cgroup: '/system.slice/system-getty.slice/getty@tty1.service' },
      'getty@tty1',
    ],
    ['a session is not a service', { cgroup: '/user.slice/user-1000.slice/session-3.scope' }, 'unknown_service:sleep'],
    [
      'a user manager is not a service',
      { cgroup: '/user.slice/user-1000.slice/user@1000.service' },
      'unknown_service:sleep',
    ],
    [
      'a service of a user manager, which root did not name',
      { cgroup: '/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service' },
      'syncthing',
    ],
    [
      'a service takes precedence over those below it that root did not name',
      { cgroup: '/system.slice/web.service/sshd.service', cgroup_claimed: 1 },
      'web',
    ],
    ['then the container, if its cgroup names it', { cgroup: '/lxc.payload.web/init.scope' }, 'web'],
    [
      'a service in such a container takes precedence',
      { cgroup: '/lxc.payload.web/system.slice/nginx.service' },
      'nginx',
    ],
    ['then the executable', { cgroup: null, exe: '/opt/x/my app' }, 'unknown_service:my app'],
    ['an executable that was replaced', { cgroup: null, exe: '/usr/bin/nginx (deleted)' }, 'unknown_service:nginx'],
    [
      'then the comm of the kernel',
      { cgroup: null, exe: null, comm: 'nginx: worker' },
      'unknown_service:nginx: worker',
    ],
    ['the environment is not known', { env: null, cgroup: null }, 'unknown_service:sleep'],
  ] as const)('%s', (_, changes, expected) => {
    expect(name(changes)).toBe(expected);
  });
});

describe('the source of the identity', () => {
  it.each([
    [
      'the published name',
      { otel_context: published(['service.name', text('a')]), env: { OTEL_SERVICE_NAME: 'b' } },
      'process_context',
    ],
    [
      'the name in a variable',
      { otel_context: published(['team', text('a')]), env: { OTEL_SERVICE_NAME: 'b' } },
      'environment',
    ],
    ['the name in the list', { env: { OTEL_RESOURCE_ATTRIBUTES: 'service.name=b' } }, 'environment'],
    [
      'other published attributes',
      { otel_context: published(['team', text('a')]), env: { OTEL_RESOURCE_ATTRIBUTES: 'team=b' } },
      'process_context',
    ],
    [
      'other variables',
      { env: { OTEL_RESOURCE_ATTRIBUTES: 'team=b' }, cgroup: '/system.slice/nginx.service' },
      'environment',
    ],
    [
      'only dropped claims',
      { env: { OTEL_RESOURCE_ATTRIBUTES: 'host.name=b' }, cgroup: '/system.slice/nginx.service' },
      'systemd_unit',
    ],
    ['a unit that root did not name', { cgroup: '/user.slice/user-7.slice/user@7.service/a.service' }, 'user_unit'],
    ['a container', { cgroup: '/lxc/web' }, 'container'],
    ['nothing else', { cgroup: null }, 'executable'],
  ] as const)('is %s', (_, changes, expected) => {
    expect(identitiesOf(death({ process: victim(changes) })).victim.source).toBe(expected);
  });
});

describe('the identities', () => {
  it('of a victim and its sender have the same form', () => {
    const { victim: killed, sender } = identitiesOf(killedBy(9, { signal: signal(9) }));
    expect(killed).toMatchObject({ pid: 4242, name: 'sleep', executable: '/usr/bin/sleep', ancestors: [] });
    expect(killed.user).toEqual({ uid: 1000, name: 'alice' });
    expect(sender).toMatchObject({
      pid: 99,
      name: 'bash',
      executable: '/usr/bin/bash',
      user: { uid: 1000, name: 'alice' },
      ancestors: [
        { pid: 80, name: 'sshd' },
        { pid: 1, name: 'systemd' },
      ],
    });
    expect(sender?.arguments.shown).toEqual(['bash', '-l']);
  });

  it('have no sender if the verdict names none', () => {
    expect(identitiesOf(exitedWith(1)).sender).toBeNull();
  });

  it.each([
    ['a user of the host', null, 1000, 'alice'],
    ['a user unknown to the host', null, 7, null],
    ['root in a container', `/docker/${ID}`, 0, 'root'],
    ['another user of a container', `/docker/${ID}`, 1000, null],
    ['root in another user namespace', null, 0, 'root', true],
    ['another user in another user namespace', null, 1000, null, true],
  ])('name %s', (_, cgroup, uid, name, user_namespace = false) => {
    const sending = actor({ cgroup, uid, user_namespace });
    const { sender } = identitiesOf(killedBy(9, { signal: signal(9, { sender: sending }) }));
    expect(sender?.user).toEqual({ uid, name });
  });
});

describe('arguments', () => {
  const args = ['app', '--token=hunter2'];
  const of = (mode: 'redacted' | 'full' | 'off', changes = {}) =>
    identitiesOf(exitedWith(1, { process: victim({ args, ...changes }) }), mode).victim.arguments;

  it.each([
    ['redacted', ['app', '--token=[REDACTED]']],
    ['full', args],
    ['off', null],
  ] as const)('are shown in the mode %s, and redacted for rules in every mode', (mode, shown) => {
    expect(of(mode).shown).toEqual(shown);
    expect(of(mode).redacted).toEqual(['app', '--token=[REDACTED]']);
    expect(of(mode).command).toBe('app');
  });

  it.each(['redacted', 'full', 'off'] as const)('have no secret in the command, in the mode %s', (mode) => {
    expect(of(mode, { args: ['app: password=hunter2'] }).command).toBe('app: password=[REDACTED]');
  });

  it('are counted if none was cut', () => {
    expect([of('off').count, of('off', { args_truncated: true }).count]).toEqual([2, null]);
  });

  it('may be unknown or empty', () => {
    const unknown = of('full', { args: null });
    expect([unknown.shown, unknown.redacted, unknown.command, unknown.count]).toEqual([null, null, null, null]);
    const none = of('full', { args: [] });
    expect([none.shown, none.redacted, none.command, none.count]).toEqual([[], [], null, 0]);
  });

  it('are redacted once', () => {
    const lazy = of('redacted');
    expect(lazy.shown).toBe(lazy.redacted);
  });
});

describe('the executable', () => {
  const marks = (exe_flags: string[] | null) => {
    const { victim: known } = identitiesOf(death({ process: victim({ exe_flags }) }));
    return [known.foreignRoot, known.executableState, known.inUserContainer];
  };

  it.each([
    ['nothing is known', null, [null, null, false]],
    ['an ordinary file', [], [null, null, false]],
    ['a flag of a newer loader', ['sealed'], [null, null, false]],
    ['deleted', ['deleted'], [null, 'deleted', false]],
    ['in memory', ['memfd'], [null, 'memfd', false]],
    ['chroot', ['chroot'], ['chroot', null, false]],
    ['unmounted, and deleted before', ['unmounted', 'deleted'], ['unmounted', 'deleted', false]],
    ['chroot on a file system that is no longer mounted', ['unmounted', 'chroot'], ['unmounted', null, false]],
    ['the mounts of another user namespace', ['chroot', 'foreign_mounts'], ['mount_namespace', null, false]],
    ['a rootless container', ['user_mounts'], [null, null, true]],
    ['chroot in a rootless container', ['user_mounts', 'chroot'], ['chroot', null, true]],
  ] as const)('%s', (_, flags, expected) => {
    expect(marks(flags === null ? null : [...flags])).toEqual(expected);
  });
});

describe('the users', () => {
  it('are the effective, the real and the login user', () => {
    const { victim: known } = identitiesOf(death({ process: victim({ uid: 0, real_uid: 1000, login_uid: 1001 }) }));
    expect([known.user.uid, known.realUser, known.loginUser]).toEqual([
      0,
      { uid: 1000, name: 'alice' },
      { uid: 1001, name: null },
    ]);
  });

  it('are null if they are not known', () => {
    const { victim: known } = identitiesOf(death({ process: victim() }));
    expect([known.realUser, known.loginUser]).toEqual([null, null]);
  });
});
