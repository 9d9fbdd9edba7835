// SPDX-License-Identifier: Apache-2.0
// The resource of a victim: whole, its service level, and the part for counters.
import { describe, expect, it } from 'vitest';
import { countedResource, hostAttributes, metricResource, serviceLevel } from '../../../src/core/telemetry/resource.ts';
import { death, victim } from '../../support/deadly.ts';
import { identitiesOf, resourceOfVictim } from '../../support/derived.ts';
import { host } from '../../support/host.ts';

const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
const POD = '8c7f1d2e-3a4b-5c6d-7e8f-90a1b2c3d4e5';

describe('the resource', () => {
  it('has everything that is known, and nothing else', () => {
    const process = victim({
      vpid: 7,
      env: { OTEL_RESOURCE_ATTRIBUTES: 'service.version=1.2,process.pid=1,host.name=container' },
      cgroup: `/kubepods/besteffort/pod${POD}/${ID}`,
      uid: 0,
    });
    expect(resourceOfVictim(death({ process }), 'redacted')).toEqual({
      'service.name': 'unknown_service:sleep',
      'service.version': '1.2',
      'whodunit.identity.source': 'environment',
      'whodunit.identity.claimed': ['service.version'],
      'process.pid': 4242,
      'process.creation.time': '2026-11-23T14:10:09.123456789Z',
      'process.parent_pid': 99,
      'process.vpid': 7,
      'whodunit.process.name': 'sleep',
      'process.executable.name': 'sleep',
      'process.executable.path': '/usr/bin/sleep',
      'process.command': 'sleep',
      'process.args_count': 2,
      'process.command_args': ['sleep', '100'],
      'process.owner': 'root',
      'process.user.id': 0,
      'process.linux.cgroup': `/kubepods/besteffort/pod${POD}/${ID}`,
      'container.id': ID,
      'k8s.pod.uid': POD,
      'host.id': host.id,
      'host.name': 'web-1',
      'host.arch': 'amd64',
      'os.type': 'linux',
      'os.version': '6.18.44',
      'telemetry.distro.name': 'whodunit',
      'telemetry.distro.version': '0.1.0',
    });
  });

  it('leaves out what is not known', () => {
    const process = victim({ exe: null, args: null, env: null, cgroup: null, uid: 12_345 });
    const keys = Object.keys(resourceOfVictim(death({ process }), 'full', { ...host, id: null }));
    for (const key of [
      'process.executable.path',
      'process.command',
      'process.command_args',
      'process.args_count',
      'process.owner',
      'process.linux.cgroup',
      'host.id',
    ]) {
      expect(keys).not.toContain(key);
    }
  });

  it('does not look up a user of a container on the host', () => {
    expect(
      resourceOfVictim(death({ process: victim({ cgroup: `/docker/${ID}` }) }), 'off')['process.owner'],
    ).toBeUndefined();
    expect(resourceOfVictim(death({ process: victim() }), 'off')['process.owner']).toBe('alice');
  });

  it('does not count arguments that were cut', () => {
    const resource = resourceOfVictim(death({ process: victim({ args_truncated: true }) }), 'full');
    expect(resource['process.args_count']).toBeUndefined();
    expect(resource['process.command_args']).toEqual(['sleep', '100']);
  });

  it.each([
    ['redacted', ['app', '--token=[REDACTED]']],
    ['full', ['app', '--token=hunter2']],
    ['off', undefined],
  ] as const)('shows the arguments with WHODUNIT_ARGUMENTS=%s', (mode, expected) => {
    const process = victim({ args: ['app', '--token=hunter2'] });
    expect(resourceOfVictim(death({ process }), mode)['process.command_args']).toEqual(expected);
  });

  it.each([
    ['/usr/bin/node', 'nodejs'],
    ['/usr/bin/python3.11', 'cpython'],
    ['/usr/lib/jvm/java-21-openjdk-amd64/bin/java', 'OpenJDK'],
    ['/opt/zing/bin/java', undefined],
    ['/usr/bin/nodemon', undefined],
  ])('names the runtime of %s', (exe, runtime) => {
    expect(resourceOfVictim(death({ process: victim({ exe }) }), 'off')['process.runtime.name']).toBe(runtime);
  });

  it.each([
    ['/system.slice/nginx.service', 'nginx.service'],
    [`/system.slice/docker-${ID}.scope`, undefined],
    ['/user.slice/user-1000.slice/session-3.scope', undefined],
  ])('has a service level with, for the cgroup %s, the unit %s', (cgroup, unit) => {
    const level = serviceLevel(resourceOfVictim(death({ process: victim({ cgroup }) }), 'off'), host);
    expect(level['whodunit.systemd.unit']).toBe(unit);
  });

  it('has a service level without pid, times and container', () => {
    const process = victim({
      cgroup: `/docker/${ID}`,
      env: { OTEL_RESOURCE_ATTRIBUTES: 'service.namespace=shop,service.instance.id=7' },
    });
    expect(serviceLevel(resourceOfVictim(death({ process }), 'full'), host)).toEqual({
      'service.name': 'unknown_service:sleep',
      'service.namespace': 'shop',
      'host.id': host.id,
      'host.name': 'web-1',
      'host.arch': 'amd64',
      'os.type': 'linux',
      'os.version': '6.18.44',
      'telemetry.distro.name': 'whodunit',
      'telemetry.distro.version': '0.1.0',
    });
  });

  it.each([
    ['without a declaration', {}],
    [
      'with one',
      {
        OTEL_RESOURCE_ATTRIBUTES:
          'service.namespace=shop,service.version=1.2,host.id=x,whodunit.systemd.unit=a.service',
      },
    ],
  ])('is counted under the same service level, %s', (_, env) => {
    for (const [cgroup, id] of [
      ['/system.slice/nginx.service', host.id],
      [null, null],
    ] as const) {
      const event = death({ process: victim({ env, cgroup }) });
      const whole = resourceOfVictim(event, 'redacted', { ...host, id });
      expect(countedResource(identitiesOf(event).victim, { ...host, id })).toEqual({
        ...serviceLevel(whole, host),
        'process.executable.name': 'sleep',
      });
    }
  });
});

describe('the resource of metrics', () => {
  const service = { 'service.name': 'shop', 'service.version': '1', ...hostAttributes(host) };
  const idOf = (changes: object) => metricResource({ ...service, ...changes })['service.instance.id'];

  it('has the same id in every release', () => {
    expect(metricResource(service)).toEqual({
      ...service,
      'service.instance.id': '1c0fe0a3-3e5a-5067-8df5-78258e231441',
    });
  });

  it.each([
    { 'host.name': 'web-2' },
    { 'host.id': 'another' },
    { 'service.name': 'cart' },
    { 'service.namespace': 'eu' },
    { 'service.version': '2' },
    { 'deployment.environment.name': 'test' },
    { 'whodunit.systemd.unit': 'shop.service' },
    { 'k8s.cluster.name': 'b' },
  ])('has another id with %o', (changes) => {
    expect(idOf(changes)).not.toBe(idOf({}));
  });

  it.each([{ 'os.version': '7.0' }, { 'telemetry.distro.version': '9' }])('has the same id with %o', (changes) => {
    expect(idOf(changes)).toBe(idOf({}));
  });

  it('does not confuse values that move from one key to the next', () => {
    expect(idOf({ 'service.name': 'a', 'service.namespace': 'b' })).not.toBe(
      idOf({ 'service.name': 'b', 'service.namespace': 'a' }),
    );
  });
});

describe('the tags of the fleet', () => {
  const tagged = {
    ...host,
    tags: {
      'k8s.cluster.name': 'a',
      'deployment.environment.name': 'production',
      'process.pid': '1',
      'host.arch': 'x',
    },
  };
  const claims = { OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging' };

  it('are on a record', () => {
    expect(resourceOfVictim(death({ process: victim({}) }), 'off', tagged)).toMatchObject({
      'k8s.cluster.name': 'a',
      'deployment.environment.name': 'production',
    });
  });

  it('override neither what the process declares nor what the kernel knows', () => {
    expect(resourceOfVictim(death({ process: victim({ pid: 7, env: claims }) }), 'off', tagged)).toMatchObject({
      'deployment.environment.name': 'staging',
      'process.pid': 7,
      'host.arch': 'amd64',
    });
  });

  it.each([
    ['without a declaration', {}, 'production'],
    ['with one', claims, 'staging'],
  ])('are on counters and summaries, %s', (_, env, environment) => {
    const counted = countedResource(identitiesOf(death({ process: victim({ env }) })).victim, tagged);
    expect(serviceLevel(counted, tagged)).toMatchObject({
      'k8s.cluster.name': 'a',
      'deployment.environment.name': environment,
      'host.arch': 'amd64',
    });
  });
});
