// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { rulesOf } from '../../../src/core/filter/built-in.ts';
import { firstMatch, subjectOf } from '../../../src/core/filter/match.ts';
import { classify } from '../../../src/core/verdict/classify.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import { exitedWith, fault, itself, killedBy, noinfoSignal, signal, victim } from '../../support/deadly.ts';
import { identitiesOf } from '../../support/derived.ts';

function decide(death: Death, mode: 'default' | 'all' = 'default') {
  const verdict = classify(death);
  return firstMatch(subjectOf(verdict, identitiesOf(death, 'off').victim), rulesOf([], mode)).action;
}
const handledTerm = signal(15, { action: 'handled' });
const brokenPipe = { signal: noinfoSignal(13, { syscall: 1, sender: itself() }) };

describe('the built-in rules', () => {
  it.each<[string, Death, string]>([
    ['a fault', killedBy(11, { fault: fault(11, 1) }), 'report'],
    ["another process's signal", killedBy(15, { signal: signal(15) }), 'report'],
    ['a kill of unknown origin', killedBy(9), 'report'],
    ['a short-lived process without a service that exits with 1', exitedWith(1), 'count'],
    ['a known service', exitedWith(1, { process: victim({ env: { OTEL_SERVICE_NAME: 'checkout' } }) }), 'report'],
    ['a container', exitedWith(1, { process: victim({ cgroup: `/docker/${'a'.repeat(64)}` }) }), 'report'],
    ['a systemd service', exitedWith(1, { process: victim({ cgroup: '/system.slice/nginx.service' }) }), 'report'],
    ['a process without a service that ran for more than 10 s', exitedWith(1, { time_ns: 19_000_000_001n }), 'report'],
    ['a process without a service that ran for exactly 10 s', exitedWith(1, { time_ns: 19_000_000_000n }), 'count'],
    [
      'a process of a user manager',
      exitedWith(1, { process: victim({ cgroup: '/user.slice/user@1000.service' }) }),
      'count',
    ],
    [
      'a container that a user started without root',
      exitedWith(1, {
        process: victim({
          cgroup: `/user.slice/user-7.slice/user@7.service/user.slice/libpod-${'a'.repeat(64)}.scope/container`,
        }),
      }),
      'report',
    ],
    ['yes | head', killedBy(13, brokenPipe), 'count'],
    [
      'a service that is terminated by SIGPIPE',
      killedBy(13, { ...brokenPipe, process: victim({ env: { OTEL_SERVICE_NAME: 'x' } }) }),
      'report',
    ],
    ['exit code 0', exitedWith(0), 'ignore'],
    ['a graceful stop of a short-lived unnamed process', exitedWith(0, { request: handledTerm }), 'count'],
    [
      'a graceful stop of a service',
      exitedWith(0, { request: handledTerm, process: victim({ cgroup: '/system.slice/web.service' }) }),
      'report',
    ],
  ])('%s', (_, death, action) => {
    expect(decide(death)).toBe(action);
  });

  it('match redacted arguments, even if arguments are not shown', () => {
    const death = exitedWith(1, { process: victim({ args: ['app', '--token=hunter2'] }) });
    const subject = subjectOf(classify(death), identitiesOf(death, 'off').victim);
    expect(subject.arguments).toBe('app --token=[REDACTED]');
  });

  it('match facts, not what a process declares about itself', () => {
    const OTEL_RESOURCE_ATTRIBUTES = 'container.id=x,whodunit.systemd.unit=x.service,process.owner=root';
    const death = exitedWith(1, { process: victim({ env: { OTEL_RESOURCE_ATTRIBUTES }, uid: 7, cgroup: null }) });
    const subject = subjectOf(classify(death), identitiesOf(death).victim);
    expect([subject.container, subject.unit, subject.user]).toEqual([null, null, '7']);
  });

  it('report every non-zero exit with WHODUNIT_REPORT=all', () => {
    expect([
      decide(exitedWith(1), 'all'),
      decide(killedBy(13, brokenPipe), 'all'),
      decide(exitedWith(0), 'all'),
    ]).toEqual(['report', 'report', 'ignore']);
  });
});
