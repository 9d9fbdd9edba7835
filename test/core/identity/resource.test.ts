// SPDX-License-Identifier: Apache-2.0
import { envDetector } from '@opentelemetry/resources';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseResourceAttributes, resourceOf, serviceLevel } from '../../../src/core/identity/resource.ts';
import { death, victim } from '../../support/deadly.ts';
import { host } from '../../support/host.ts';

const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
const POD = '8c7f1d2e-3a4b-5c6d-7e8f-90a1b2c3d4e5';

describe('the name of the service', () => {
  const name = (changes: Parameters<typeof victim>[0]) =>
    resourceOf(death({ process: victim(changes) }), host, 'off')['service.name'];
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
    ['an empty OTEL_SERVICE_NAME is none', { env: { OTEL_SERVICE_NAME: ' ' }, cgroup: nginx }, 'nginx'],
    [
      'then the systemd service without its suffix',
      { cgroup: '/system.slice/system-getty.slice/getty@tty1.service' },
      'getty@tty1',
    ],
    ['a session is no service', { cgroup: '/user.slice/user-1000.slice/session-3.scope' }, 'unknown_service:sleep'],
    [
      'the manager of a user is no service',
      { cgroup: '/user.slice/user-1000.slice/user@1000.service' },
      'unknown_service:sleep',
    ],
    ['then the container, where its cgroup names it', { cgroup: '/lxc.payload.web/init.scope' }, 'web'],
    ['a service in such a container goes first', { cgroup: '/lxc.payload.web/system.slice/nginx.service' }, 'nginx'],
    ['then the executable', { cgroup: null, exe: '/opt/x/my app' }, 'unknown_service:my app'],
    ['an executable that was replaced', { cgroup: null, exe: '/usr/bin/nginx (deleted)' }, 'unknown_service:nginx'],
    [
      'then the name that the kernel keeps',
      { cgroup: null, exe: null, comm: 'nginx: worker' },
      'unknown_service:nginx: worker',
    ],
    ['nothing known of the environment', { env: null, cgroup: null }, 'unknown_service:sleep'],
  ] as const)('%s', (_, changes, expected) => {
    expect(name(changes)).toBe(expected);
  });
});

describe('OTEL_RESOURCE_ATTRIBUTES', () => {
  it.each([
    [
      'pairs',
      'service.version=1.2,deployment.environment.name=prod',
      { 'service.version': '1.2', 'deployment.environment.name': 'prod' },
    ],
    ['percent-decoding of values and keys', 'a%2Cb=x%3Dy', { 'a,b': 'x=y' }],
    ['spaces around and a trailing comma', ' a = b ,', { a: 'b' }],
    ['a value with an equals sign', 'a=b=c', { a: 'b=c' }],
    ['malformed: all of it is discarded', 'a=b,c', {}],
    ['malformed percent: all of it is discarded', 'a=b,c=%zz', {}],
    ['nothing', '', {}],
    ['a poisoned key', '__proto__=x', {}],
  ])('%s', (_, text, expected) => {
    expect(parseResourceAttributes(text)).toEqual(expected);
  });
});

describe('OTEL_RESOURCE_ATTRIBUTES, as the SDK of the process reads it', () => {
  const sdk = (text: string) => {
    process.env.OTEL_RESOURCE_ATTRIBUTES = text;
    const { attributes } = envDetector.detect();
    delete process.env.OTEL_RESOURCE_ATTRIBUTES;
    return attributes ?? {};
  };
  const entry = fc.oneof(
    fc
      .tuple(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 20 }))
      .map((pair) => pair.map(encodeURIComponent).join('=')),
    fc.constantFrom(
      '',
      ' a = b ',
      'no-equals-sign',
      '=no-key',
      'a=%zz',
      'a=%',
      'a=',
      'service.name=x%2Cy',
      'ключ=значение',
      '%C3%A4=%F0%9F%98%80',
    ),
  );

  it('is what we read', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
        const text = entries.join(',');
        fc.pre(!/__proto__/.test(text));
        expect(parseResourceAttributes(text)).toEqual(sdk(text));
      }),
      { numRuns: 500 },
    );
  });
});

describe('the resource', () => {
  it('tells everything that is known, and nothing else', () => {
    const process = victim({
      vpid: 7,
      env: { OTEL_RESOURCE_ATTRIBUTES: 'service.version=1.2,process.pid=1,host.name=container' },
      cgroup: `/kubepods/besteffort/pod${POD}/${ID}`,
      uid: 0,
    });
    expect(resourceOf(death({ process }), host, 'redacted')).toEqual({
      'service.name': 'unknown_service:sleep',
      'service.version': '1.2',
      'process.pid': 4242,
      'process.creation.time': '2026-11-23T14:10:09.123456789Z',
      'process.parent_pid': 99,
      'process.vpid': 7,
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
    const keys = Object.keys(resourceOf(death({ process }), { ...host, id: null }, 'full'));
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

  it('does not name a user of a container after one of the host', () => {
    expect(
      resourceOf(death({ process: victim({ cgroup: `/docker/${ID}` }) }), host, 'off')['process.owner'],
    ).toBeUndefined();
    expect(resourceOf(death({ process: victim() }), host, 'off')['process.owner']).toBe('alice');
  });

  it('does not count arguments that were cut', () => {
    const resource = resourceOf(death({ process: victim({ args_truncated: true }) }), host, 'full');
    expect(resource['process.args_count']).toBeUndefined();
    expect(resource['process.command_args']).toEqual(['sleep', '100']);
  });

  it.each([
    ['redacted', ['app', '--token=[REDACTED]']],
    ['full', ['app', '--token=hunter2']],
    ['off', undefined],
  ] as const)('shows the arguments with WHODUNIT_ARGUMENTS=%s', (mode, expected) => {
    const process = victim({ args: ['app', '--token=hunter2'] });
    expect(resourceOf(death({ process }), host, mode)['process.command_args']).toEqual(expected);
  });

  it.each([
    ['/usr/bin/node', 'nodejs'],
    ['/usr/bin/python3.11', 'cpython'],
    ['/usr/lib/jvm/java-21-openjdk-amd64/bin/java', 'OpenJDK'],
    ['/opt/zing/bin/java', undefined],
    ['/usr/bin/nodemon', undefined],
  ])('tells the runtime of %s', (exe, runtime) => {
    expect(resourceOf(death({ process: victim({ exe }) }), host, 'off')['process.runtime.name']).toBe(runtime);
  });

  it.each([
    ['/system.slice/nginx.service', 'nginx.service'],
    [`/system.slice/docker-${ID}.scope`, undefined],
    ['/user.slice/user-1000.slice/session-3.scope', undefined],
  ])('has a service level in which %s is of the unit %s', (cgroup, unit) => {
    const level = serviceLevel(resourceOf(death({ process: victim({ cgroup }) }), host, 'off'));
    expect(level['whodunit.systemd.unit']).toBe(unit);
  });

  it('has a service level without pid, time and container', () => {
    const process = victim({
      cgroup: `/docker/${ID}`,
      env: { OTEL_RESOURCE_ATTRIBUTES: 'service.namespace=shop,service.instance.id=7' },
    });
    expect(serviceLevel(resourceOf(death({ process }), host, 'full'))).toEqual({
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
});
