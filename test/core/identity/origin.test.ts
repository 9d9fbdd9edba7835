// SPDX-License-Identifier: Apache-2.0
// Origins: what a user can create makes no other one, and what root makes does.
import { describe, expect, it } from 'vitest';
import { serviceKey } from '../../../src/core/identity/identity.ts';
import { originOf } from '../../../src/core/identity/origin.ts';
import type { Death, Victim } from '../../../src/core/wire/event.ts';
import { originName } from '../../../src/core/words/shares.ts';
import { death, victim } from '../../support/deadly.ts';
import { identitiesOf } from '../../support/derived.ts';

const CONTAINER = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
const POD = '8c7f1d2e-3a4b-5c6d-7e8f-90a1b2c3d4e5';
const POD_SLICE = `kubepods-burstable-pod${POD.replaceAll('-', '_')}.slice`;
const USERS = new Map([
  [0, 'root'],
  [1000, 'alice'],
  [65_534, 'nobody'],
]);

function of(process: Partial<Victim>, origin: Death['origin'] = { cgroup: 7n, uid: 65_534 }): Death {
  return death({ origin, process: victim(process) });
}
const nameOf = (process: Partial<Victim>, origin?: Death['origin']): string =>
  originName(originOf(of(process, origin)), USERS);

it.each([
  ['/system.slice/cron.service', 'nobody in cron.service'],
  ['/system.slice/system-getty.slice/getty@tty1.service', 'nobody in getty@tty1.service'],
  ['/system.slice/cron.service/below', 'nobody in cron.service'],
  ['/user.slice/user-1000.slice/session-3.scope', 'nobody in user-1000.slice'],
  ['/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-4711.scope', 'nobody in user-1000.slice'],
  [`/docker/${CONTAINER}`, 'uid 65534 in container a1b2c3d4e5f6'],
  [`/system.slice/docker-${CONTAINER}.scope/init.scope`, 'uid 65534 in container a1b2c3d4e5f6'],
  ['/machine.slice/machine-arch.scope/payload/system.slice/sshd.service', 'uid 65534 in container arch'],
  [
    `/kubepods.slice/kubepods-burstable.slice/${POD_SLICE}/cri-containerd-${CONTAINER}.scope`,
    `uid 65534 in pod ${POD}`,
  ],
  [`/kubepods/burstable/pod${POD}/${CONTAINER}`, `uid 65534 in pod ${POD}`],
  ['/init.scope', 'nobody in init.scope'],
  ['/', 'nobody'],
])('a process in %s counts to %s', (cgroup, name) => {
  expect(nameOf({ cgroup })).toBe(name);
});

it('root is root in a container, and a user without a name has the number', () => {
  expect(nameOf({ cgroup: `/docker/${CONTAINER}` }, { cgroup: 1n, uid: 0 })).toBe('root in container a1b2c3d4e5f6');
  expect(nameOf({ cgroup: '/' }, { cgroup: 0n, uid: 4242 })).toBe('uid 4242');
});

it('a name of a unit cannot control the terminal of who reads it', () => {
  expect(nameOf({ cgroup: '/system.slice/\u001b[2J.service' })).toBe('nobody in \\u001b[2J.service');
});

describe('the same origin', () => {
  const originsOf = (deaths: readonly Death[]): number => new Set(deaths.map(originOf)).size;
  const numbers = Array.from({ length: 4_000 }, (_, number) => number);

  it('have processes in 4,000 cgroups that their user made in a delegated one', () => {
    const deaths = numbers.map((number) => of({ cgroup: `/delegated/m${number}/x.service`, cgroup_claimed: 2 }));
    expect([originsOf(deaths), originName(originOf(deaths[0] as Death), USERS)]).toEqual([1, 'nobody in delegated']);
  });

  it('have those in a delegated slice, and below the manager of the user', () => {
    expect(originsOf(numbers.map((n) => of({ cgroup: `/mine.slice/${n}.service`, cgroup_claimed: 1 })))).toBe(1);
    const manager = '/user.slice/user-1000.slice/user@1000.service';
    expect(originsOf(numbers.map((n) => of({ cgroup: `${manager}/${n}.slice/x.scope`, cgroup_claimed: 2 })))).toBe(1);
  });

  it('have those with subordinate user ids, effective ones of set-user-ID programs, and any names', () => {
    const deaths = numbers.map((n) =>
      of({ uid: 100_000 + n, real_uid: 100_000 + n, user_namespace: true, comm: `${n}` }),
    );
    expect(originsOf(deaths)).toBe(1);
  });

  it('have all starts of a systemd service, although each has a cgroup of its own', () => {
    const cgroup = '/system.slice/checkout.service';
    expect(originsOf([1n, 2n].map((id) => of({ cgroup }, { cgroup: id, uid: 0 })))).toBe(1);
  });
});

describe('another origin', () => {
  it('has another user in the same unit, and the same user in another one', () => {
    const cgroup = '/system.slice/cron.service';
    const origins = [
      of({ cgroup }),
      of({ cgroup }, { cgroup: 7n, uid: 1000 }),
      of({ cgroup: '/system.slice/at.service' }),
      of({ cgroup: '/' }, { cgroup: 0n, uid: 65_534 }),
    ];
    expect(new Set(origins.map(originOf)).size).toBe(4);
  });

  it('without a path is named by the id of the cgroup', () => {
    expect(nameOf({ cgroup: null })).toBe('nobody in cgroup 7');
    expect(nameOf({ cgroup: '…/cut/path' })).toBe('nobody in cgroup 7');
    expect(nameOf({ cgroup: null }, { cgroup: 0n, uid: 1000 })).toBe('alice');
  });

  it('of an older loader is named by the real user', () => {
    const unknown = { cgroup: 0n, uid: 0xffff_ffff };
    expect(nameOf({ cgroup: '/', uid: 0, real_uid: 1000 }, unknown)).toBe('alice');
    expect(nameOf({ cgroup: '/', uid: 0 }, unknown)).toBe('root');
  });
});

describe('the key of a service', () => {
  const checkout: Partial<Victim> = {
    exe: '/usr/bin/checkout',
    cgroup: '/system.slice/checkout.service',
    env: { OTEL_SERVICE_NAME: 'checkout' },
  };
  const keyOf = (changes: Partial<Victim>, origin?: Death['origin']): string => {
    const one = of({ ...checkout, ...changes }, origin);
    return serviceKey(identitiesOf(one).victim, originOf(one));
  };

  it.each<[string, Partial<Victim>, Death['origin']?]>([
    ['origin', {}, { cgroup: 7n, uid: 1000 }],
    ['unit', { cgroup: '/system.slice/other.service' }],
    ['user', { uid: 0 }],
    ['executable', { exe: '/tmp/checkout' }],
    ['name', { env: { OTEL_SERVICE_NAME: 'cart' } }],
    ['namespace', { env: { OTEL_SERVICE_NAME: 'checkout', OTEL_RESOURCE_ATTRIBUTES: 'service.namespace=shop' } }],
  ])('differs by %s', (_, changes, origin) => {
    expect(keyOf(changes, origin)).not.toBe(keyOf({}));
  });

  it('differs by pod and by unit within one container, such as a node of Kubernetes in Docker', () => {
    const node = `/docker/${CONTAINER}`;
    const inner = [
      `${node}/kubepods/pod${POD}/x`,
      `${node}/kubepods/pod${POD.replaceAll('8', '9')}/x`,
      `${node}/system.slice/a.service`,
      `${node}/system.slice/b.service`,
    ];
    expect(new Set(inner.map((cgroup) => keyOf({ cgroup }))).size).toBe(4);
  });

  it('is the same for each session of a user, and each restarted container of a pod', () => {
    const sessions = [3, 4].map((n) => keyOf({ cgroup: `/user.slice/user-1000.slice/session-${n}.scope` }));
    const containers = ['a', 'b'].map((id) => keyOf({ cgroup: `/kubepods/pod${POD}/${id.repeat(64)}` }));
    expect([new Set(sessions).size, new Set(containers).size]).toEqual([1, 1]);
  });
});
