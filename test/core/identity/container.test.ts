// SPDX-License-Identifier: Apache-2.0
// Containers by name: from the runtime, the cgroup and the UTS namespace, in records, sentences and names of services.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { workloadIn } from '../../../src/core/identity/container.ts';
import type { ContainerFacts } from '../../../src/core/identity/runtime-answers.ts';
import type { Actor, Victim } from '../../../src/core/wire/event.ts';
import { recordOf } from '../../support/circumstances.ts';
import { actor, exitedWith, killedBy, signal, victim } from '../../support/deadly.ts';
import { host as machine } from '../../support/host.ts';

const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
const OTHER = ID.replaceAll('a', 'b');
const POD = '8c7f1d2e-3a4b-5c6d-7e8f-90a1b2c3d4e5';
const DOCKER = `/system.slice/docker-${ID}.scope`;
const PODS = `/kubepods/besteffort/pod${POD}/${ID}`;
const WEB: ContainerFacts = {
  name: 'shop-web-1',
  image: { name: 'registry.example.com/shop/web', tags: ['1.27'] },
  project: 'shop',
  service: 'web',
};
const PLAIN: ContainerFacts = {
  name: 'web',
  image: { name: 'busybox', tags: ['latest'] },
  project: null,
  service: null,
};

const hostWith = (facts: ContainerFacts | null) => ({
  ...machine,
  containerById: (id: string | null) => (id === ID ? facts : null),
});
const recordIn = (changes: Partial<Victim>, facts: ContainerFacts | null = null) =>
  recordOf(exitedWith(3, { process: victim({ env: null, ...changes }) }), { host: hostWith(facts) });
const resourceIn = (changes: Partial<Victim>, facts: ContainerFacts | null = null) =>
  recordIn(changes, facts).resource.attributes;

describe('the name of the service', () => {
  it.each<[string, Partial<Victim>, ContainerFacts | null, string, string, boolean]>([
    ['the service of Compose', { cgroup: DOCKER, uts_hostname: 'db-0' }, WEB, 'web', 'compose', true],
    ['the name of the container', { cgroup: DOCKER, uts_hostname: 'db-0' }, PLAIN, 'web', 'container', false],
    ['the host name', { cgroup: DOCKER, uts_hostname: 'db-0' }, null, 'db-0', 'container_hostname', true],
    [
      'the executable, as the host name is the beginning of the id',
      { cgroup: DOCKER, uts_hostname: ID.slice(0, 12) },
      null,
      'unknown_service:sleep',
      'executable',
      false,
    ],
    [
      'the workload of the pod',
      { cgroup: PODS, uts_hostname: 'web-7d4b9c6f5-x2x8k' },
      null,
      'web',
      'container_hostname',
      true,
    ],
    [
      'the workload, as a runtime names the containers of each pod anew',
      { cgroup: PODS, uts_hostname: 'web-7d4b9c6f5-x2x8k' },
      { ...PLAIN, name: `k8s_web_web-7d4b9c6f5-x2x8k_default_${POD}_0` },
      'web',
      'container_hostname',
      true,
    ],
    ['the cgroup', { cgroup: '/lxc/mail', uts_hostname: 'other' }, null, 'mail', 'container', false],
    [
      'the executable, on the network of the machine',
      { cgroup: DOCKER, uts_hostname: machine.name },
      null,
      'unknown_service:sleep',
      'executable',
      false,
    ],
    [
      'the executable, of a process of the machine with a UTS namespace',
      { cgroup: '/user.slice/user-1000.slice/session-3.scope', uts_hostname: 'sshd' },
      null,
      'unknown_service:sleep',
      'executable',
      false,
    ],
    [
      'the executable, of a container that a user may have invented',
      { cgroup: `/user.slice/user-1000.slice/user@1000.service/docker-${ID}.scope`, uts_hostname: 'sshd' },
      WEB,
      'unknown_service:sleep',
      'executable',
      false,
    ],
    [
      'what the process declares',
      { cgroup: DOCKER, uts_hostname: 'db-0', env: { OTEL_SERVICE_NAME: 'checkout' } },
      WEB,
      'checkout',
      'environment',
      true,
    ],
  ])('is from %s', (_, changes, facts, name, source, isClaimed) => {
    const resource = resourceIn(changes, facts);
    const claimed = resource['whodunit.identity.claimed'] ?? [];
    expect([resource['service.name'], resource['whodunit.identity.source']]).toEqual([name, source]);
    expect((claimed as string[]).includes('service.name')).toBe(isClaimed);
  });

  it('is a claim, too, if the process declares only other attributes', () => {
    const env = { OTEL_RESOURCE_ATTRIBUTES: 'service.version=2' };
    const resource = resourceIn({ cgroup: DOCKER, env }, WEB);
    expect(resource['whodunit.identity.claimed']).toEqual(expect.arrayContaining(['service.name', 'service.version']));
  });

  it('has the project of Compose as its namespace, unless the process declares name or namespace', () => {
    expect(resourceIn({ cgroup: DOCKER }, WEB)['service.namespace']).toBe('shop');
    expect(resourceIn({ cgroup: DOCKER, env: { OTEL_SERVICE_NAME: 'web' } }, WEB)['service.namespace']).toBeUndefined();
    const env = { OTEL_RESOURCE_ATTRIBUTES: 'service.namespace=blog' };
    expect(resourceIn({ cgroup: DOCKER, env }, WEB)['service.namespace']).toBe('blog');
  });

  it.each([
    ['web-7d4b9c6f5-x2x8k', 'web'],
    ['web-7d4b9c6f5x-x2x8k', 'web'],
    ['node-exporter-x2x8k', 'node-exporter'],
    ['db-0', 'db'],
    ['nightly-29384620-bcdfg', 'nightly'],
    ['batch-3-x2x8k', 'batch-3'],
    ['my-nginx', 'my-nginx'],
    ['web', 'web'],
    ['-0', '-0'],
    [`${'n'.repeat(57)}-x2x8k`, `${'n'.repeat(57)}-x2x8k`],
  ])('of the pod %s is %s', (hostname, workload) => expect(workloadIn(hostname)).toBe(workload));

  it('of a pod is never empty', () => {
    fc.assert(fc.property(fc.string({ minLength: 1 }), (name) => workloadIn(name) !== ''));
  });
});

describe('the resource', () => {
  it('has what the runtime says, and marks labels and host name as claims', () => {
    expect(resourceIn({ cgroup: DOCKER, uts_hostname: 'db-0' }, WEB)).toMatchObject({
      'container.id': ID,
      'container.name': 'shop-web-1',
      'container.image.name': 'registry.example.com/shop/web',
      'container.image.tags': ['1.27'],
      'container.label.com.docker.compose.project': 'shop',
      'container.label.com.docker.compose.service': 'web',
      'whodunit.container.hostname': 'db-0',
      'whodunit.identity.claimed': [
        'service.name',
        'service.namespace',
        'whodunit.container.hostname',
        'container.label.com.docker.compose.project',
        'container.label.com.docker.compose.service',
      ],
    });
  });

  it('believes the runtime and not the process', () => {
    const env = { OTEL_RESOURCE_ATTRIBUTES: 'container.name=sshd,container.image.name=evil,container.image.id=x' };
    const resource = resourceIn({ cgroup: DOCKER, env }, PLAIN);
    expect(resource).toMatchObject({ 'container.name': 'web', 'container.image.name': 'busybox' });
    expect(resource['whodunit.identity.claimed']).toEqual(['container.image.id']);
  });

  it.each([
    ['a line\nbreak'],
    ['\u202egnp'],
    ['\\xff'],
    ['-'],
    ['a b'],
    ['(none)'],
    [machine.name],
    [`${machine.name}.example.com`],
    ['n'.repeat(65)],
  ])('has no host name that is none: %j', (uts_hostname) => {
    const { resource, body } = recordIn({ cgroup: DOCKER, uts_hostname });
    expect(resource.attributes).not.toHaveProperty('whodunit.container.hostname');
    expect(resource.attributes['service.name']).toBe('unknown_service:sleep');
    expect(body).toContain('in container a1b2c3d4e5f6)');
  });
});

describe('the sentence', () => {
  const by = (changes: Partial<Actor>) =>
    recordOf(
      killedBy(9, {
        process: victim({ cgroup: DOCKER, uts_hostname: 'db-0' }),
        signal: signal(9, { sender: actor({ ancestors: [], ...changes }) }),
      }),
      { host: hostWith(WEB) },
    );

  it.each<[string, Partial<Victim>, ContainerFacts | null, string]>([
    ['by its name', { cgroup: DOCKER, uts_hostname: 'db-0' }, WEB, ', in container shop-web-1)'],
    ['by its host name', { cgroup: DOCKER, uts_hostname: 'db-0' }, null, ', in a container with the host name db-0)'],
    ['by its id', { cgroup: DOCKER, uts_hostname: ID.slice(0, 12) }, null, ', in container a1b2c3d4e5f6)'],
    ['by its id, from an older loader', { cgroup: DOCKER }, null, ', in container a1b2c3d4e5f6)'],
    ['by its cgroup', { cgroup: '/lxc/mail' }, null, ', in container mail)'],
    ['not where there is none', { cgroup: '/system.slice/web.service' }, null, '(pid 4242)'],
  ])('names the container %s', (_, changes, facts, expected) => {
    expect(recordIn(changes, facts).body).toContain(expected);
  });

  it('names the container of the sender if it is another one', () => {
    const { body, attributes } = by({ cgroup: `/docker/${OTHER}`, uts_hostname: 'ops-0' });
    expect(body).toMatch(/^sleep \(pid 4242, in container shop-web-1\) was killed by SIGKILL, sent by /);
    expect(body).toContain(', in a container with the host name ops-0), after');
    expect(attributes).toMatchObject({
      'whodunit.sender.container.id': OTHER,
      'whodunit.sender.container.hostname': 'ops-0',
    });
  });

  it('does not name it twice', () => {
    const { body, attributes } = by({ cgroup: DOCKER, uts_hostname: 'db-0' });
    expect(String(body).match(/in container/g)).toHaveLength(1);
    expect(attributes).toMatchObject({ 'whodunit.sender.container.name': 'shop-web-1' });
  });
});
