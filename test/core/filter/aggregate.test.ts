// SPDX-License-Identifier: Apache-2.0
// Aggregation: which terminations get a record of their own; records and summaries together account for all.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { conclude } from '../../../src/core/conclude.ts';
import {
  type Aggregate,
  type Candidate,
  CrashLoops,
  SENDERS_MAX,
  SERVICES_MAX,
  type StoredAggregate,
  WINDOW_MS,
} from '../../../src/core/filter/aggregate.ts';
import { buildSummary } from '../../../src/core/telemetry/summary.ts';
import type { Victim } from '../../../src/core/wire/event.ts';
import { circumstances } from '../../support/circumstances.ts';
import { exitedWith, killedBy, victim } from '../../support/deadly.ts';
import { host } from '../../support/host.ts';

const LIMIT = 10;
const SECOND = 1_000_000_000n;
const FATAL = { number: 21, text: 'FATAL' };
const ERROR = { number: 17, text: 'ERROR' };

function candidate(changes: Partial<Candidate> = {}): Candidate {
  return {
    key: 'checkout',
    origin: '1000 ',
    endedNs: 0n,
    cause: 'exit',
    executable: null,
    sender: null,
    severity: ERROR,
    command: () => null,
    cgroup: null,
    resource: { 'service.name': 'checkout' },
    ...changes,
  };
}
/** One aggregated termination, as it is stored. */
function storedMinute(): StoredAggregate {
  const loops = new CrashLoops(0);
  loops.add(candidate(), 0);
  return loops.open()[0] as StoredAggregate;
}
const total = (aggregated: readonly Aggregate[]): number => aggregated.reduce((sum, { count }) => sum + count, 0);

describe('a minute of one service', () => {
  it('has ten records and one summary for any number of terminations', () => {
    const loops = new CrashLoops(LIMIT);
    const aggregated = Array.from({ length: 1000 }, (_, i) =>
      loops.add(candidate({ endedNs: BigInt(i) * 59_000_000n }), i * 59),
    );
    expect(aggregated.filter((aggregate) => !aggregate)).toHaveLength(LIMIT);
    const summaries = loops.due(WINDOW_MS);
    expect(summaries).toMatchObject([{ count: 990, firstNs: 590_000_000n, lastNs: 58_941_000_000n }]);
    expect(loops.due(WINDOW_MS)).toEqual([]);
  });

  it('names the senders, the most frequent first, and at most ten of them', () => {
    const loops = new CrashLoops(0);
    const senders = Array.from({ length: 12 }, (_, i) => `killer ${i}`);
    for (const sender of ['pkill', ...senders, 'pkill', null]) loops.add(candidate({ cause: 'killed', sender }), 0);
    const restored = new CrashLoops(0, JSON.parse(JSON.stringify(loops.open())));
    const [aggregated] = restored.due(Number.POSITIVE_INFINITY) as [Aggregate];
    const { attributes, body } = buildSummary(aggregated, host, 1n);
    expect(attributes['whodunit.aggregated.senders']).toHaveLength(SENDERS_MAX);
    expect(body).toContain('15 × killed; sent by 2 × pkill, 1 × killer 0');
  });

  it('has no summary before it is over, and none if nothing was aggregated', () => {
    const loops = new CrashLoops(1);
    loops.add(candidate(), 0);
    expect(loops.due(2 * WINDOW_MS)).toEqual([]);
    for (let i = 0; i < 2; i += 1) loops.add(candidate(), 0);
    expect(loops.due(WINDOW_MS - 1)).toEqual([]);
    expect(total(loops.due(WINDOW_MS))).toBe(1);
  });

  it('is not idle until it is over and its summary is returned', () => {
    const loops = new CrashLoops(1);
    expect(loops.idle).toBe(true);
    for (let i = 0; i < 2; i += 1) loops.add(candidate(), 0);
    loops.due(WINDOW_MS - 1);
    expect(loops.idle).toBe(false);
    const next = new CrashLoops(1, loops.open());
    loops.due(WINDOW_MS);
    expect([loops.idle, next.idle]).toEqual([true, false]);
  });

  it('is followed by another minute with records', () => {
    const loops = new CrashLoops(1);
    const at = (seconds: bigint) => loops.add(candidate({ endedNs: seconds * SECOND }), 0);
    expect([at(0n), at(1n), at(60n), at(61n)]).toEqual([false, true, false, true]);
    expect(loops.due(0)).toMatchObject([{ startNs: 0n, count: 1 }]);
    expect(loops.due(Number.POSITIVE_INFINITY)).toMatchObject([{ startNs: 60n * SECOND, count: 1 }]);
  });

  it('counts by cause, and has the highest severity', () => {
    const loops = new CrashLoops(1);
    const causes = ['exit', 'fault', 'exit', 'exit'] as const;
    for (const cause of causes) loops.add(candidate({ cause, severity: cause === 'fault' ? FATAL : ERROR }), 0);
    const [aggregated] = loops.due(Number.POSITIVE_INFINITY) as [Aggregate];
    expect([...aggregated.byCause]).toEqual([
      ['fault', 1],
      ['exit', 2],
    ]);
    expect(aggregated.severity).toBe(FATAL);
  });

  it('has the severity of the last of several that are equally severe, as it has its resource', () => {
    const loops = new CrashLoops(1);
    const last = { ...ERROR };
    for (const severity of [ERROR, ERROR, last]) loops.add(candidate({ severity }), 0);
    expect(loops.due(Number.POSITIVE_INFINITY)[0]?.severity).toBe(last);
  });

  it('is passed to the next run if it was still open, and is then due at once', () => {
    const loops = new CrashLoops(1);
    for (const key of ['a', 'b', 'b']) loops.add(candidate({ key, endedNs: 7n }), 0);
    const next = new CrashLoops(1, JSON.parse(JSON.stringify(loops.open())));
    expect(next.open()).toEqual(loops.open());
    expect(next.due(0)).toEqual(loops.due(Number.POSITIVE_INFINITY));
    expect([next.open(), next.due(0)]).toEqual([[], []]);
  });

  it('is separate for each service; if too many are open, the oldest is closed early, and not lost', () => {
    const loops = new CrashLoops(1);
    for (let i = 0; i <= SERVICES_MAX; i += 1)
      for (let times = 0; times < 2; times += 1) loops.add(candidate({ key: `service ${i}` }), 0);
    expect(loops.due(0)).toMatchObject([{ key: 'service 0', count: 1 }]);
    expect(total(loops.due(Number.POSITIVE_INFINITY))).toBe(SERVICES_MAX);
  });

  it('loses no termination, in any order and at any time', () => {
    const death = fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      endedNs: fc.bigInt(0n, 300n * SECOND),
      nowMs: fc.nat(300_000),
    });
    fc.assert(
      fc.property(fc.array(death, { maxLength: 300 }), fc.integer({ min: 1, max: 5 }), (deaths, limit) => {
        const loops = new CrashLoops(limit);
        let records = 0;
        let aggregated = 0;
        for (const { nowMs, ...changes } of deaths) {
          if (!loops.add(candidate(changes), nowMs)) records += 1;
          aggregated += total(loops.due(nowMs));
        }
        expect(records + aggregated + total(loops.due(Number.POSITIVE_INFINITY))).toBe(deaths.length);
      }),
    );
  });
});

describe('a crash loop, concluded', () => {
  it('yields records, then a summary of the service, and every termination has one outcome', () => {
    const loops = new CrashLoops(2);
    const given = circumstances({ loops });
    const service = { OTEL_SERVICE_NAME: 'checkout' };
    const outcomes = [1, 2, 3, 4, 5].map((pid) => {
      const conclusion = conclude(
        pid === 5
          ? killedBy(6, { process: victim({ pid, env: service }) })
          : exitedWith(1, { process: victim({ pid, env: service }) }),
        given,
      );
      return conclusion.kind === 'new' ? [conclusion.outcome, conclusion.record === null] : conclusion.kind;
    });
    expect(outcomes).toEqual([
      ['reported', false],
      ['reported', false],
      ['aggregated', true],
      ['aggregated', true],
      ['aggregated', true],
    ]);
    const [aggregated] = loops.due(Number.POSITIVE_INFINITY) as [Aggregate];
    const summary = buildSummary(aggregated, host, 1n);
    expect(summary).toMatchObject({
      eventName: 'whodunit.process.termination.summary',
      severityText: 'ERROR',
      body: 'checkout terminated 3 more times within 0 µs: 2 × exit, 1 × unknown.',
      attributes: {
        'whodunit.aggregated.count': 3,
        'whodunit.aggregated.by_cause.exit': 2,
        'whodunit.aggregated.by_cause.unknown': 1,
      },
    });
    expect(summary.resource.attributes['service.name']).toBe('checkout');
    expect(Object.keys(summary.resource.attributes).filter((key) => key.startsWith('process.'))).toEqual([]);
    expect(buildSummary(aggregated, host, 2n).attributes['log.record.uid']).toBe(summary.attributes['log.record.uid']);
  });

  it('of an unnamed service is limited by pod', () => {
    const given = circumstances({ loops: new CrashLoops(1) });
    const pods = ['1', '2', '1'].map((digit) => `/kubepods/pod${digit.repeat(32)}/${'a'.repeat(64)}`);
    const outcomes = pods.map((cgroup, index) => {
      const conclusion = conclude(exitedWith(1, { process: victim({ pid: index + 1, cgroup }) }), given);
      return conclusion.kind === 'new' && conclusion.outcome;
    });
    expect(outcomes).toEqual(['reported', 'reported', 'aggregated']);
  });

  it('of one user does not aggregate the termination of another, nor of another unit or executable, under the same name', () => {
    const given = circumstances({ loops: new CrashLoops(10) });
    const env = { OTEL_SERVICE_NAME: 'checkout' };
    const outcomeOf = (pid: number, changes: Partial<Victim>, uid: number) => {
      const origin = { cgroup: 7n, uid };
      const conclusion = conclude(exitedWith(3, { origin, process: victim({ env, uid, pid, ...changes }) }), given);
      return conclusion.kind === 'new' && conclusion.outcome;
    };
    const flood = Array.from({ length: 14 }, (_, pid) => outcomeOf(pid + 1, {}, 65_534));
    expect(flood.filter((outcome) => outcome === 'aggregated')).toHaveLength(4);
    expect(outcomeOf(100, {}, 1000)).toBe('reported');
    expect(outcomeOf(101, { cgroup: '/system.slice/checkout.service' }, 65_534)).toBe('reported');
    expect(outcomeOf(102, { exe: '/usr/bin/checkout' }, 65_534)).toBe('reported');
    const [summary] = given.loops.due(Number.POSITIVE_INFINITY) as [Aggregate];
    expect(buildSummary(summary, host, 1n).attributes).toMatchObject({
      'whodunit.origin': 'uid 65534 in user-1000.slice',
      'process.executable.path': '/usr/bin/sleep',
    });
  });

  it('of one origin under 2,000 names closes no minute of another', () => {
    const loops = new CrashLoops(1);
    for (let times = 0; times < 2; times += 1) loops.add(candidate({ key: 'checkout', origin: 'alice' }), 0);
    for (let i = 0; i < 2_000; i += 1) loops.add(candidate({ key: `${i}`, origin: 'mallory' }), 0);
    expect(loops.add(candidate({ key: 'checkout', origin: 'alice' }), 0)).toBe(true);
    expect(loops.due(0)).toEqual([]);
    expect([...loops.closedEarly]).toEqual([['mallory', 2_001 - SERVICES_MAX]]);
  });

  it('that version 0.1.0 stored is due, without what it did not know', () => {
    const { origin: _, executable: __, ...old } = storedMinute();
    const [aggregated] = new CrashLoops(1, [old]).due(0) as [Aggregate];
    expect(aggregated).toMatchObject({ origin: '', executable: null, count: 1 });
    const { attributes } = buildSummary(aggregated, host, 1n);
    expect(Object.keys(attributes)).not.toContain('whodunit.origin');
  });

  it('never aggregates what is filtered', () => {
    const loops = new CrashLoops(1);
    const given = circumstances({
      loops,
      rules: [{ name: 'none', action: 'count', isFinal: true, matches: () => true, certain: () => true }],
    });
    for (const pid of [1, 2, 3]) conclude(exitedWith(1, { process: victim({ pid }) }), given);
    expect(loops.due(Number.POSITIVE_INFINITY)).toEqual([]);
  });
});
