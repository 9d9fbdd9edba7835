// SPDX-License-Identifier: Apache-2.0
// The registry and the emitted telemetry match: every name is registered, types match, no required attribute is missing. The generated
// files are current, and every name marked as OpenTelemetry's is in the published conventions.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import * as published from '@opentelemetry/semantic-conventions/incubating';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRegistry, type Signal } from '../../../scripts/generate/registry.ts';
import { goldenDeath } from '../../../scripts/stack/fake-loader.ts';
import { conclude } from '../../../src/core/conclude.ts';
import { CrashLoops } from '../../../src/core/filter/aggregate.ts';
import { rulesOf } from '../../../src/core/filter/built-in.ts';
import { Loops } from '../../../src/core/filter/loops.ts';
import type { Attributes } from '../../../src/core/telemetry/attributes.ts';
import { buildLoop } from '../../../src/core/telemetry/loop.ts';
import { serviceLevel } from '../../../src/core/telemetry/resource.ts';
import { buildSummary } from '../../../src/core/telemetry/summary.ts';
import type { Death, Signal as SignalFact } from '../../../src/core/wire/event.ts';
import { circumstances, recordOf } from '../../support/circumstances.ts';
import { ABORT, crash, frames } from '../../support/crashes.ts';
import {
  actor,
  END,
  fault,
  itself,
  kernelSignal,
  killedBy,
  noinfoSignal,
  oom,
  signal,
  victim,
} from '../../support/deadly.ts';
import { host } from '../../support/host.ts';

const registry = readRegistry();
const named = (signals: readonly Signal[], name: string): Signal => {
  const found = signals.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`${name} is not in the registry`);
  return found;
};

/** The differences between the attributes and the registry's definition of the signal or entity, one line each. */
function faultsOf(attributes: Attributes, signal: Signal): string[] {
  const faults: string[] = [];
  const used = new Set<string>();
  for (const [key, value] of Object.entries(attributes)) {
    const use = signal.uses.find(({ attribute: { id, template } }) =>
      template ? key.startsWith(`${id}.`) : key === id,
    );
    if (use === undefined) {
      faults.push(`${signal.name} has no ${key}`);
      continue;
    }
    used.add(use.attribute.id);
    if (!hasType(value, use.attribute.type))
      faults.push(`${key} is ${JSON.stringify(value)}, not ${use.attribute.type}`);
    const { members, id } = use.attribute;
    if (members !== null && !registry.upstream.has(id) && !members.some((member) => member.value === value))
      faults.push(`${key} has no value ${value}`);
  }
  for (const { attribute, requirement } of signal.uses)
    if (requirement === 'required' && !used.has(attribute.id)) faults.push(`${signal.name} lacks ${attribute.id}`);
  return faults;
}

function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case 'int':
      return Number.isSafeInteger(value);
    case 'double':
      return Number.isFinite(value);
    case 'string[]':
      return Array.isArray(value) && value.every((item) => typeof item === 'string');
    default:
      return typeof value === type;
  }
}

const recordFaults = (record: ReadableLogRecord, entity: string): string[] => [
  ...faultsOf(record.attributes as Attributes, named(registry.events, record.eventName ?? '')),
  ...faultsOf(record.resource.attributes as Attributes, named(registry.entities, entity)),
];

function faultsOfDeath(death: Death): string[] {
  const record = recordOf(death);
  const level = serviceLevel(record.resource.attributes as Attributes, host);
  return [...recordFaults(record, 'whodunit.victim'), ...faultsOf(level, named(registry.entities, 'whodunit.service'))];
}

describe('every record', () => {
  it.each(readdirSync(new URL('../../wire/', import.meta.url)).filter((name) => name.startsWith('death-')))(
    'of %s matches the registry',
    (name) => {
      expect(faultsOfDeath(goldenDeath(name.replace('.json', '')))).toEqual([]);
    },
  );

  it('of any termination matches the registry', () => {
    fc.assert(
      fc.property(deaths(), (death) => {
        expect(faultsOfDeath(death)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a summary', () => {
  it('matches the registry', () => {
    const loops = new CrashLoops(1);
    const rules = rulesOf([], 'all');
    for (const [pid, signo] of [
      [1, 9],
      [2, 9],
      [3, 11],
    ] as const)
      conclude(killedBy(signo, { process: victim({ pid }) }), circumstances({ rules, loops }));
    const [aggregated] = loops.due(Number.POSITIVE_INFINITY);
    expect(aggregated && recordFaults(buildSummary(aggregated, host, 0n), 'whodunit.service')).toEqual([]);
  });
});

describe('a loop', () => {
  it('matches the registry, whatever it says', () => {
    const loops = new Loops();
    const given = circumstances({ loops: new CrashLoops(10), restartLoops: loops });
    const ancestors = [{ pid: 1, comm: 'systemd' }];
    for (const [index, signo] of [9, 9, 9, 11].entries()) {
      const timeNs = END + BigInt(index) * 1_000_000_000n;
      const process = victim({ pid: index + 1, start_boottime_ns: timeNs - 1n, ancestors });
      conclude({ ...killedBy(signo, { process }), time_ns: timeNs }, given);
    }
    const news = [...loops.due(0), ...loops.due(Number.POSITIVE_INFINITY), ...loops.due(60_000)];
    expect(news.map(({ state }) => state)).toEqual(['began', 'changed', 'ended']);
    for (const one of news) expect(recordFaults(buildLoop(one, host, 0n), 'whodunit.service')).toEqual([]);
  });
});

/** Terminations of every kind, with any subset of the facts. */
function deaths(): fc.Arbitrary<Death> {
  const maybe = <T>(value: T) => fc.constantFrom<(T | null)[]>(null, value);
  const signo = fc.integer({ min: 1, max: 64 });
  const cgroups = fc.constantFrom(null, '/', `/docker/${'a'.repeat(64)}`, '/system.slice/nginx.service');
  const sender = fc.record({ cgroup: cgroups, uid: fc.constantFrom(0, 1000, 4_000_000_000), exe: maybe('/bin/x') });
  const signals = (number: number) =>
    fc.oneof(
      fc.constant(null),
      sender.map((changes): SignalFact => signal(number, { sender: actor(changes) })),
      fc.constant(signal(number, { sender: itself(), code: -6 })),
      fc
        .constantFrom('__oom_kill_process', 'isig', 'posix_timer_fn', 'zap_pid_ns_processes')
        .map((frame) => kernelSignal(number, [frame])),
      fc.constant(noinfoSignal(number, { sender: itself(), syscall: 1 })),
    );
  const process = fc.record({
    exe: maybe('/usr/bin/node'),
    args: maybe(['node', '--token=x']),
    env: fc.constantFrom(
      null,
      {},
      { OTEL_SERVICE_NAME: 'a', OTEL_RESOURCE_ATTRIBUTES: 'service.version=1,service.instance.id=i' },
    ),
    cgroup: cgroups,
    uid: fc.constantFrom(0, 1000, 4_000_000_000),
  });
  return signo.chain((number) =>
    fc
      .record({
        status_raw: fc.oneof(
          fc.constant(number),
          fc.constant(number | 0x80),
          fc.integer({ min: 1, max: 255 }).map((code) => code << 8),
        ),
        process: process.map(victim),
        signal: signals(number),
        request: signals(15),
        fault: maybe(fault(number, 1, { syscall: 101, syscall_arch: 0xc000003e })),
        handled_fault: maybe(fault(number, 2)),
        oom: maybe(oom()),
        oom_victim: fc.boolean(),
        seccomp_mode: fc.constantFrom(0, 2, 3),
        shrunk: fc.boolean(),
        crash: fc.constantFrom(
          null,
          crash({ signo: number, frames: frames(...ABORT, '__assert_fail@libc', 'f') }),
          crash({ signo: number, state: 'no_slot', frames: [] }),
        ),
        facts_refused: fc.boolean(),
      })
      .map((changes) => killedBy(number, changes)),
  );
}

describe('the registry', () => {
  it('marks as OpenTelemetry names only those that it publishes', () => {
    // `otel.metric.overflow` is in the specification of the metrics SDK ("Cardinality limits"), not in the conventions.
    const all = Object.values(published).map((name) =>
      typeof name === 'function' ? name('').replace(/\.$/, '') : name,
    );
    const names = new Set<unknown>([...all, 'otel.metric.overflow']);
    expect([...registry.upstream].filter((id) => !names.has(id))).toEqual([]);
  });

  it('has all other names under `whodunit.`', () => {
    const ours = [...registry.attributes.keys()].filter((id) => !registry.upstream.has(id));
    const names = [...ours, ...[...registry.events, ...registry.metrics, ...registry.entities].map(({ name }) => name)];
    expect(names.filter((name) => !name.startsWith('whodunit.'))).toEqual([]);
  });

  it('has no unused attribute, and associates only entities that it defines', () => {
    const signals = [...registry.events, ...registry.metrics, ...registry.entities];
    const used = new Set(signals.flatMap(({ uses }) => uses.map(({ attribute }) => attribute.id)));
    expect([...registry.attributes.keys()].filter((id) => !used.has(id))).toEqual([]);
    const entities = new Set(registry.entities.map(({ name }) => name));
    expect(signals.flatMap(({ resources }) => resources).filter((name) => !entities.has(name))).toEqual([]);
  });

  it('keeps the names of 0.1.0 as renamed', () => {
    expect(registry.renamed).toEqual([
      { attribute: 'whodunit.outcome', value: 'screened', to: 'filtered' },
      { attribute: 'whodunit.outcome', value: 'folded', to: 'aggregated' },
      { attribute: 'whodunit.folded.count', value: null, to: 'whodunit.aggregated.count' },
      { attribute: 'whodunit.folded.by_cause', value: null, to: 'whodunit.aggregated.by_cause' },
      { attribute: 'whodunit.folded.first_time', value: null, to: 'whodunit.aggregated.first_time' },
    ]);
  });

  it('renames only to names that it has, and emits no old name', () => {
    const valuesOf = (id: string) => registry.attributes.get(id)?.members?.map(({ value }) => value) ?? [];
    for (const { attribute, value, to } of registry.renamed) {
      const current = value === null ? [...registry.attributes.keys()] : valuesOf(attribute);
      expect(current).toContain(to);
      expect(current).not.toContain(value ?? attribute);
    }
  });

  it('matches the generated docs/telemetry.md and src/core/telemetry/semconv.ts', () => {
    const script = new URL('../../../scripts/generate/telemetry.ts', import.meta.url).pathname;
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });
});
