// SPDX-License-Identifier: Apache-2.0
// Which claims are kept, which are dropped, and what becomes of hostile ones.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimsOf, contradicted } from '../../../src/core/identity/claims.ts';
import * as semconv from '../../../src/core/telemetry/semconv.ts';

const isKept = (name: string, contained = false) => Object.hasOwn(claimsOf({ [name]: 'x' }, contained).kept, name);

describe('a claim', () => {
  it.each([
    'service.name',
    'service.namespace',
    'service.version',
    'service.instance.id',
    'deployment.environment.name',
    'deployment.environment',
    'k8s.pod.name',
    'k8s.namespace.name',
    'k8s.container.restart_count',
    'k8s.pod.label.app.kubernetes.io/name',
    'k8s.node.uid',
    'cloud.region',
    'process.runtime.name',
    'process.runtime.version',
    'telemetry.sdk.language',
    'webengine.name',
    'team',
    'hosting.tier',
    'osquery.version',
    'constructor',
  ])('of %s is kept', (name) => {
    expect(isKept(name)).toBe(true);
  });

  it.each([
    'process.pid',
    'process.owner',
    'process.runtime',
    'process',
    'Process.PID',
    'process_pid',
    'process-pid',
    '.process.pid',
    'process..pid',
    'PROCESS:pid',
    'user.name',
    'host.name',
    'host_name',
    'os.type',
    'container.id',
    'container.name',
    'container.runtime.name',
    'k8s.pod.uid',
    'K8S_POD_UID',
    'kubernetes.pod.uid',
    'docker.container.id',
    'hostname',
    'machine_id',
    'pid',
    'whodunit.cause',
    'whodunit.identity.source',
    'whodunit',
    'telemetry.distro.name',
    'log.record.uid',
    'error.type',
    'exception.message',
    'severity_text',
    'scope_name',
    'trace_id',
    'service',
    'service_name',
    'Service.Name',
    'deployment.environment_name',
    ' host.name',
    'host.name\u200b',
    'host\u0000.name',
    'pr\u043ecess.pid',
    'team\n',
    '',
    'x'.repeat(257),
  ])('of %j is dropped, in a container and outside', (name) => {
    expect([isKept(name), isKept(name, true)]).toEqual([false, false]);
  });

  it.each(['container.image.name', 'container.label.app', 'container.command'])(
    'of %s is kept in a container only',
    (name) => {
      expect([isKept(name), isKept(name, true)]).toEqual([false, true]);
    },
  );

  const claimable = new Set<string>([
    semconv.SERVICE_NAME,
    semconv.SERVICE_NAMESPACE,
    semconv.SERVICE_VERSION,
    semconv.SERVICE_INSTANCE_ID,
    semconv.DEPLOYMENT_ENVIRONMENT_NAME,
    semconv.K8S_CLUSTER_NAME,
    semconv.PROCESS_RUNTIME_NAME,
  ]);
  const names = Object.values(semconv).filter(
    (value) => typeof value === 'string' && /^[a-z0-9]+\.[a-z0-9_.]+$/.test(value),
  );
  it.each(names as string[])('of %s, which whodunit emits, is dropped unless only the process knows it', (name) => {
    expect(isKept(name)).toBe(claimable.has(name));
  });
});

describe('the value of a claim', () => {
  const kept = (name: string, value: string | number | boolean) => claimsOf({ [name]: value }, false).kept[name];

  it.each([
    ['a control character', 'team', 'a\u001b[31m\n', 'a\ufffd[31m\ufffd'],
    ['half a character', 'team', 'a\ud83d', 'a\ufffd'],
    ['1,025 characters', 'team', 'x'.repeat(1025), `${'x'.repeat(1023)}…`],
    ['a number', 'replica', 7, 7],
    ['a number, of a name that is a string', 'service.version', 7, '7'],
    ['a truth value, of a name that is a string', 'service.namespace', true, 'true'],
    ['no number', 'replica', Number.NaN, 'NaN'],
    ['infinity', 'replica', Number.POSITIVE_INFINITY, 'Infinity'],
  ])('is harmless: %s', (_, name, value, expected) => {
    expect(kept(name, value)).toEqual(expected);
  });
});

it('drops the name of the prototype, which an assignment would lose', () => {
  const { kept, dropped } = claimsOf(JSON.parse('{"__proto__":"x"}'), false);
  expect([Object.keys(kept), Object.keys(dropped)]).toEqual([[], ['__proto__']]);
});

it('reads any claims, and keeps none of a fact', () => {
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.double(), fc.boolean());
  const separator = fc.constantFrom('.', '_', '-', '/', ' ', '..');
  const fact = fc.constantFrom('process', 'host', 'whodunit', 'os', 'user');
  const name = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.tuple(fact, separator, fc.string()).map(([space, by, rest]) => `${space}${by}${rest}`),
  );
  fc.assert(
    fc.property(fc.dictionary(name, value), fc.boolean(), (said, contained) => {
      const { kept, dropped } = claimsOf(said, contained);
      expect([...Object.keys(kept), ...Object.keys(dropped)].sort()).toEqual(Object.keys(said).sort());
      for (const [key, one] of Object.entries(kept)) {
        expect(key).toMatch(/^[!-~]{1,256}$/);
        if (!/^process[^a-z0-9]+runtime[^a-z0-9]/i.test(key))
          expect(key).not.toMatch(/^(?:process|host|whodunit|os|user)(?![a-z0-9])/i);
        if (typeof one === 'string')
          expect([one.isWellFormed(), /\p{Cc}/u.test(one), one.length <= 1024]).toEqual([true, false, true]);
        else if (typeof one === 'number') expect(Number.isFinite(one)).toBe(true);
      }
      for (const shown of contradicted(dropped, {})) expect(shown).toMatch(/^[ -~\ufffd…]{0,64}$/u);
    }),
  );
});

describe('dropped claims', () => {
  it('are listed if the resource has another value or none', () => {
    const resource = { 'process.pid': 4242, 'host.name': 'web-1', 'os.type': 'linux' };
    const dropped = { 'process.pid': '4242', 'host.name': 'web-2', 'os.type': 'linux', 'container.id': 'c' };
    expect(contradicted(dropped, resource)).toEqual(['host.name', 'container.id']);
  });

  it('are listed up to 16, and the others counted', () => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`host.${index}`, 'x']));
    const shown = contradicted(many, {});
    expect([shown.length, shown.at(-1)]).toEqual([17, '4 more']);
  });
});
