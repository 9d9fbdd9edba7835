// SPDX-License-Identifier: Apache-2.0
import { ValueType } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  type PushMetricExporter,
  type ResourceMetrics,
  type SumMetricData,
} from '@opentelemetry/sdk-metrics';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readRegistry } from '../../../scripts/generate/registry.ts';
import { until } from '../../../scripts/stack/fake-loader.ts';
import { hostAttributes, metricResource } from '../../../src/core/telemetry/resource.ts';
import { classify } from '../../../src/core/verdict/classify.ts';
import { Log } from '../../../src/io/log.ts';
import { Metrics } from '../../../src/io/otlp/metrics.ts';
import type { Observed } from '../../../src/io/otlp/own-instruments.ts';
import { ALL_SERIES_MAX, IDLE_MS, SERIES_MAX, SERVICES_MAX } from '../../../src/io/otlp/services.ts';
import { exitedWith, killedBy, signal, victim } from '../../support/deadly.ts';
import { resourceOfVictim } from '../../support/derived.ts';
import { host } from '../../support/host.ts';

/** One data point: the service, the metric, its attributes, its value. */
type Point = { service: unknown; name: string; attributes: Record<string, unknown>; value: unknown };

const MALLORY = '54321 /user.slice/user-54321.slice';
const ALICE = '54322 /user.slice/user-54322.slice';

const TARGET = { protocol: 'grpc', endpoint: 'http://collector:4317' } as const;

let exported: Point[][];
let raw: ResourceMetrics[];
let failing: boolean;
/** The values of the other stages. */
let observed: Observed;
let metrics: Metrics;

const exporter: PushMetricExporter = {
  export(data: ResourceMetrics, done) {
    raw.push(data);
    const service = data.resource.attributes['service.name'];
    exported.push(
      data.scopeMetrics.flatMap(({ metrics: all }) =>
        all.flatMap(({ descriptor, dataPoints }) =>
          dataPoints.map(({ attributes, value }) => ({ service, name: descriptor.name, attributes, value })),
        ),
      ),
    );
    done(failing ? { code: 1, error: new Error('no collector') } : { code: 0 });
  },
  selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
  forceFlush: async () => {},
  shutdown: async () => {},
};

beforeEach(() => {
  [exported, raw, failing] = [[], [], false];
  observed = {
    normalExits: null,
    reported: 0,
    filtered: 0,
    aggregated: 0,
    lost: { kernel: 0, loader: 0, queue: 0, export: 0 },
    exceeded: [],
    factsLost: 0,
    queue: null,
  };
  metrics = new Metrics({
    exporter,
    host,
    observe: () => observed,
    log: new Log(() => {}),
    intervalMs: 1_000_000,
    target: TARGET,
  });
});

afterEach(() => metrics.close());

/** `origin`: of the victim. */
function kill(name = 'checkout', exe = '/usr/bin/sleep', origin = MALLORY): void {
  const death = killedBy(9, { signal: signal(9), process: victim({ exe, env: { OTEL_SERVICE_NAME: name } }) });
  metrics.terminated(resourceOfVictim(death), classify(death), origin);
}

const values = (name: string, service?: string): unknown[] =>
  exported
    .flat()
    .filter((point) => point.name === name && (service === undefined || point.service === service))
    .map(({ value }) => value);
const TERMINATIONS = 'whodunit.process.terminations';
const EXITS = 'whodunit.process.exits';
const LOST = 'whodunit.events.lost';

describe('terminations', () => {
  it('are counted under the service of the victim, with cause, error and executable', async () => {
    kill();
    await metrics.close();
    expect(exported.flat().find(({ name }) => name === TERMINATIONS)).toMatchObject({
      service: 'checkout',
      attributes: { 'whodunit.cause': 'killed', 'error.type': 'SIGKILL', 'process.executable.name': 'sleep' },
    });
  });

  it('that are graceful stops have no error', async () => {
    const death = exitedWith(0, { request: signal(15, { action: 'handled' }) });
    metrics.terminated(resourceOfVictim(death), classify(death), MALLORY);
    await metrics.close();
    const { attributes } = exported.flat().find(({ name }) => name === TERMINATIONS) ?? {};
    expect(attributes).toEqual({ 'whodunit.cause': 'graceful_stop', 'process.executable.name': 'sleep' });
  });

  it('have the id of their service on this host, as have the metrics of whodunit', async () => {
    kill();
    kill('cart');
    await metrics.close();
    const ids = new Map(
      raw.map(({ resource: { attributes } }) => [attributes['service.name'], attributes['service.instance.id']]),
    );
    expect([...ids.keys()].sort()).toEqual(['cart', 'checkout', 'whodunit']);
    expect(new Set(ids.values()).size).toBe(3);
    // Of whodunit without its version: an update must not look like another instance.
    const own = metricResource({ 'service.name': 'whodunit', ...hostAttributes(host) });
    expect(ids.get('whodunit')).toBe(own['service.instance.id']);
    expect([...ids.values()]).toEqual(Array(3).fill(expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5/)));
  });

  it('start with 0, sent at once, so that the first termination is an increase', async () => {
    kill();
    kill();
    await until(() => values(TERMINATIONS).length === 1, 'the 0');
    await metrics.close();
    expect(values(TERMINATIONS)).toEqual([0, 2]);
  });

  it('start with 0 even if the service shuts down at once', async () => {
    kill();
    await metrics.close();
    expect(values(TERMINATIONS)).toEqual([0, 1]);
  });

  it('are cumulative and sent again with each export', async () => {
    metrics = new Metrics({
      exporter,
      host,
      observe: () => observed,
      log: new Log(() => {}),
      intervalMs: 20,
      target: TARGET,
    });
    kill();
    await until(() => values(TERMINATIONS).at(-1) === 1, 'the first');
    kill();
    await until(() => values(TERMINATIONS).at(-1) === 2, 'the second');
    await metrics.close();
    const all = values(TERMINATIONS) as number[];
    expect(all).toEqual([...all].sort((a, b) => a - b));
  });

  it('are kept while the collector is down', async () => {
    failing = true;
    kill();
    await until(() => values(TERMINATIONS).length > 0, 'an attempt');
    expect(metrics.snapshot().lastFailure).toMatchObject({ status: { kind: 'unreached' }, message: 'no collector' });
    failing = false;
    await metrics.close();
    expect(values(TERMINATIONS).slice(-2)).toEqual([0, 1]);
  });

  it('beyond the series limit of a service are all counted as overflow', async () => {
    const kinds = SERIES_MAX + 5;
    for (let i = 0; i < kinds; i += 1) kill('checkout', `/usr/bin/worker-${i}`);
    await metrics.close();
    const last = new Map(
      exported
        .flat()
        .filter(({ name }) => name === TERMINATIONS)
        .map((point) => [JSON.stringify(point.attributes), point]),
    );
    const points = [...last.values()];
    expect(points).toHaveLength(SERIES_MAX + 1);
    expect(points.find(({ attributes }) => attributes['otel.metric.overflow'] === true)?.value).toBe(5);
    expect(points.reduce((sum, { value }) => sum + Number(value), 0)).toBe(kinds);
    expect(metrics.snapshot().overflows).toBe(5);
  });

  it('beyond the service limit are counted under the host alone', async () => {
    for (let i = 0; i <= SERVICES_MAX + 1; i += 1) kill(`service-${i}`);
    await metrics.close();
    expect(values(TERMINATIONS, 'service-255').at(-1)).toBe(1);
    const overflow = exported.flat().filter((point) => point.name === TERMINATIONS && point.service === undefined);
    expect(overflow.at(-1)?.value).toBe(2);
    expect(metrics.snapshot().overflows).toBe(2);
  });
});

describe('the services of one origin', () => {
  /** The last value of each service. */
  const last = (): ReadonlyMap<unknown, unknown> =>
    new Map(
      exported
        .flat()
        .filter(({ name }) => name === TERMINATIONS)
        .map(({ service, value }) => [service, value]),
    );

  it('give way to that of another: 300 invented names leave it a series, and lose no count', async () => {
    for (let i = 0; i < 300; i += 1) kill(`invented-${i}`);
    kill('checkout', '/usr/bin/checkout', ALICE);
    await metrics.close();
    expect(last().get('checkout')).toBe(1);
    // 256 had their own, 44 are counted under the host.
    expect(last().get('invented-0')).toBe(1);
    expect(last().get(undefined)).toBe(44);
    expect([...metrics.displaced.metric_services]).toEqual([[MALLORY, 44]]);
    expect(metrics.snapshot().overflows).toBe(44);
  });

  it('that gave way are exported until the target has their counts, and then no longer', async () => {
    for (let i = 0; i < SERVICES_MAX; i += 1) kill(`invented-${i}`);
    kill('checkout', '/usr/bin/checkout', ALICE);
    kill('invented-0', '/usr/bin/sleep', ALICE); // It must not get a second counter.
    await metrics.flush();
    await metrics.close();
    const of = (service: string) => values(TERMINATIONS, service);
    expect([of('invented-0'), of('invented-1'), of('checkout')]).toEqual([
      [0, 2],
      [0, 1],
      [0, 1],
    ]);
  });

  it('leave room for every other origin, whichever uses most', async () => {
    for (const origin of ['a', 'b', 'c', 'd'])
      for (let i = 0; i < SERVICES_MAX; i += 1) kill(`${origin}-${i}`, '/usr/bin/sleep', origin);
    kill('checkout', '/usr/bin/checkout', ALICE);
    await metrics.close();
    expect(last().get('checkout')).toBe(1);
    expect([...last().values()].reduce((sum: number, value) => sum + Number(value), 0)).toBe(4 * SERVICES_MAX + 1);
  });

  it('that are idle are forgotten, and start with 0 again', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      kill();
      await metrics.flush();
      vi.advanceTimersByTime(1_000_000);
      await metrics.flush();
      expect(last().get('checkout')).toBe(1);
      exported = [];
      vi.advanceTimersByTime(IDLE_MS);
      await metrics.flush();
      await metrics.flush();
      expect(last().get('checkout')).toBeUndefined();
      kill();
      await metrics.close();
      expect(values(TERMINATIONS)).toEqual([0, 1]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('are not forgotten while the target does not have their counts', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      failing = true;
      kill();
      await metrics.flush();
      vi.advanceTimersByTime(2 * IDLE_MS);
      await metrics.flush();
      failing = false;
      await metrics.close();
      expect(last().get('checkout')).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });
});

it('the series of one origin leave room for those of another in the same service', async () => {
  for (let i = 0; i < 300; i += 1) kill('checkout', `/tmp/${i}`);
  kill('checkout', '/usr/bin/checkout', ALICE);
  await metrics.close();
  const point = exported.flat().findLast(({ attributes }) => attributes['process.executable.name'] === 'checkout');
  expect(point?.value).toBe(1);
  expect([...metrics.displaced.metric_series]).toEqual([[MALLORY, 300 - SERIES_MAX]]);
});

it('the series of one origin in many services leave room for those of another, and are bounded', async () => {
  for (let service = 0; service < 30; service += 1)
    for (let i = 0; i < 200; i += 1) kill(`invented-${service}`, `/tmp/${i}`);
  kill('checkout', '/usr/bin/checkout', ALICE);
  await metrics.close();
  const points = exported.flat().filter(({ name }) => name === TERMINATIONS);
  const series = new Map(points.map((point) => [JSON.stringify([point.service, point.attributes]), point.value]));
  expect(series.size).toBeLessThan(ALL_SERIES_MAX);
  expect([...series.values()].reduce((sum: number, value) => sum + Number(value), 0)).toBe(30 * 200 + 1);
  expect(points.findLast(({ service }) => service === 'checkout')?.attributes['process.executable.name']).toBe(
    'checkout',
  );
  expect([...metrics.displaced.metric_series]).toEqual([[MALLORY, 30 * 200 - ALL_SERIES_MAX / 2]]);
});

describe('exports that fail', () => {
  let answersAtOnce = false;
  beforeEach(() => {
    answersAtOnce = false;
  });

  /** Replaces the exporter by one that waits. */
  const slow = (): { release: (result: { code: number; error?: Error }) => void; started: () => number } => {
    const waiting: ((result: { code: number; error?: Error }) => void)[] = [];
    let started = 0;
    metrics = new Metrics({
      exporter: {
        ...exporter,
        export(data, done) {
          started += 1;
          raw.push(data);
          if (answersAtOnce) done({ code: 0 });
          else waiting.push(done);
        },
      },
      host,
      observe: () => observed,
      log: new Log(() => {}),
      intervalMs: 1_000_000,
      target: TARGET,
    });
    return { release: (result) => waiting.shift()?.(result), started: () => started };
  };

  it('do not pile up: one waits for the one that runs, with the newest values', async () => {
    const { release, started } = slow();
    const flushes = Array.from({ length: 50 }, () => metrics.flush());
    await until(() => started() === 1, 'the first export');
    observed = { ...observed, reported: 7 };
    release({ code: 0 });
    await until(() => started() === 2, 'the second export');
    release({ code: 0 });
    await Promise.all(flushes);
    expect(started()).toBe(2);
    const exits = raw.at(-1)?.scopeMetrics[0]?.metrics.find(({ descriptor }) => descriptor.name === EXITS);
    const point = exits?.dataPoints.find(({ attributes }) => attributes['whodunit.outcome'] === 'reported');
    expect(point?.value).toBe(7);
    answersAtOnce = true;
    await metrics.close();
    expect(started()).toBe(3);
  });

  it('that do not reach the target end the round: the other services would wait as long', async () => {
    const { release, started } = slow();
    for (const name of ['a', 'b', 'c']) kill(name);
    const flushed = metrics.flush();
    await until(() => started() === 1, 'the first export');
    release({ code: 1, error: new Error('no answer') });
    await flushed;
    expect(started()).toBe(1);
    answersAtOnce = true;
    await metrics.close();
  });

  it('with increases (delta temporality) are sent again, so no count is lost', async () => {
    let accepts = true;
    const sums: number[] = [];
    metrics = new Metrics({
      exporter: {
        ...exporter,
        selectAggregationTemporality: () => AggregationTemporality.DELTA,
        export(data, done) {
          const exits = data.scopeMetrics[0]?.metrics.find(({ descriptor }) => descriptor.name === EXITS);
          const point = exits?.dataPoints.find(({ attributes }) => attributes['whodunit.outcome'] === 'reported');
          if (accepts && point !== undefined) sums.push(Number(point.value));
          done(accepts ? { code: 0 } : { code: 1, error: new Error('no answer') });
        },
      },
      host,
      observe: () => observed,
      log: new Log(() => {}),
      intervalMs: 1_000_000,
      target: TARGET,
    });
    await metrics.flush();
    accepts = false;
    observed = { ...observed, reported: 5 };
    await metrics.flush();
    observed = { ...observed, reported: 8 };
    await metrics.flush();
    accepts = true;
    await metrics.close();
    expect(sums.reduce((sum, value) => sum + value, 0)).toBe(8);
  });
});

it('a wall clock that steps back an hour withholds no count', async () => {
  const realNow = Date.now;
  try {
    metrics = new Metrics({
      exporter,
      host,
      observe: () => observed,
      log: new Log(() => {}),
      intervalMs: 20,
      target: TARGET,
    });
    kill();
    await until(() => values(TERMINATIONS).length > 0, 'the 0');
    Date.now = () => realNow() - 3_600_000;
    const until3s = performance.now() + 3_000;
    while (values(TERMINATIONS).at(-1) !== 1 && performance.now() < until3s) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(values(TERMINATIONS).at(-1)).toBe(1);
  } finally {
    Date.now = realNow;
  }
});

describe('the counters of the kernel, which outlive the service', () => {
  const start = (options: Partial<ConstructorParameters<typeof Metrics>[0]>): void => {
    metrics = new Metrics({
      exporter,
      host,
      observe: () => observed,
      log: new Log(() => {}),
      intervalMs: 1_000_000,
      target: TARGET,
      ...options,
    });
  };
  const last = () => {
    const own = exported.findLast((points) => points[0]?.service === 'whodunit') ?? [];
    const of = (name: string, value: string) =>
      own.find((point) => point.name === name && Object.values(point.attributes).includes(value))?.value;
    return [of(EXITS, 'normal'), of(LOST, 'kernel'), of(LOST, 'loader')];
  };
  const counted = (normalExits: number, kernel: number, loader: number): void => {
    observed = { ...observed, boot: 'b', normalExits, lost: { kernel, loader, queue: 0, export: 0 }, factsLost: 3 };
  };
  const earlier = (boot: string) => ({ boot, normalExits: 100, kernel: 10, loader: 1 });

  it.each<[string, ConstructorParameters<typeof Metrics>[0]['exported'], unknown[]]>([
    ['a restart does not export again what was exported before', earlier('b'), [20, 3, 0]],
    ['but all of another boot', earlier('a'), [120, 13, 1]],
    ['and of a counter that began again', { boot: 'b', normalExits: 500, kernel: 10, loader: 5 }, [120, 3, 1]],
    ['if it is not known, only what comes', null, [0, 0, 0]],
  ])('%s', async (_, exportedBefore, expected) => {
    const seen: unknown[] = [];
    start({ exported: exportedBefore ?? null, onExported: (counts) => seen.push(counts) });
    await metrics.flush();
    expect(last()).toEqual([undefined, 0, 0]);
    counted(120, 13, 1);
    await metrics.flush();
    expect(last()).toEqual(expected);
    counted(121, 15, 1);
    await metrics.flush();
    expect(last().map(Number)).toEqual([Number(expected[0]) + 1, Number(expected[1]) + 2, expected[2]]);
    expect(seen).toEqual([
      { boot: 'b', normalExits: 120, kernel: 13, loader: 1, facts: 3 },
      { boot: 'b', normalExits: 121, kernel: 15, loader: 1, facts: 3 },
    ]);
  });
});

describe('every metric', () => {
  it('is in the registry with its unit, instrument, attributes and resource', async () => {
    const exceeded = [{ limit: 'spans', count: 1, losses: [{ origin: 'alice', count: 1 }] }] as const;
    observed = { ...observed, normalExits: 1, exceeded, queue: { records: 0, bytes: 0, oldestMs: null } };
    kill();
    metrics.delivered(0.1);
    await metrics.close();
    const { metrics: registered, entities } = readRegistry();
    const keysOf = (uses: readonly { attribute: { id: string } }[]) => uses.map(({ attribute }) => attribute.id);
    const seen = new Set<string>();
    for (const { resource, scopeMetrics } of raw) {
      for (const { descriptor, dataPointType, dataPoints, isMonotonic } of scopeMetrics.flatMap(
        ({ metrics: all }) => all,
      ) as SumMetricData[]) {
        const metric = registered.find(({ name }) => name === descriptor.name);
        expect([descriptor.name, metric?.unit, metric?.brief]).toEqual([
          descriptor.name,
          descriptor.unit,
          `${descriptor.description}`,
        ]);
        const kinds = { [DataPointType.HISTOGRAM]: 'histogram', [DataPointType.GAUGE]: 'gauge' } as Record<
          number,
          string
        >;
        expect(metric?.instrument).toBe(kinds[dataPointType] ?? (isMonotonic ? 'counter' : 'updowncounter'));
        expect(metric?.valueType).toBe(descriptor.valueType === ValueType.INT ? 'int' : 'double');
        for (const { attributes } of dataPoints) {
          const required = keysOf(metric?.uses.filter(({ requirement }) => requirement === 'required') ?? []);
          const keys = 'error.type' in attributes ? [...required, 'error.type'] : required;
          const overflow = 'otel.metric.overflow' in attributes ? ['otel.metric.overflow'] : keys;
          expect(Object.keys(attributes).sort()).toEqual(overflow.sort());
        }
        const entity = entities.find(({ name }) => metric?.resources.includes(name));
        expect(keysOf(entity?.uses ?? [])).toEqual(expect.arrayContaining(Object.keys(resource.attributes)));
        seen.add(descriptor.name);
      }
    }
    expect([...seen].sort()).toEqual(registered.map(({ name }) => name).sort());
  });
});

describe('the metrics of whodunit itself', () => {
  it('are exits, losses and the delivery time, with the values at collection', async () => {
    observed = {
      normalExits: 100_000,
      reported: 5,
      filtered: 7,
      aggregated: 3,
      lost: { kernel: 4, loader: 5, queue: 0, export: 2 },
      exceeded: [],
      factsLost: 6,
      queue: null,
    };
    metrics.delivered(0.12);
    await metrics.flush();
    const own = exported.flat().filter(({ service }) => service === 'whodunit');
    const valuesOf = (name: string, key: string) =>
      Object.fromEntries(
        own.filter((point) => point.name === name).map(({ attributes, value }) => [attributes[key], value]),
      );
    expect(valuesOf('whodunit.process.exits', 'whodunit.outcome')).toEqual({
      normal: 100_000,
      filtered: 7,
      aggregated: 3,
      reported: 5,
    });
    expect(valuesOf('whodunit.events.lost', 'whodunit.stage')).toEqual({ kernel: 4, loader: 5, queue: 0, export: 2 });
    expect(own.find(({ name }) => name === 'whodunit.facts.lost')?.value).toBe(6);
    expect(own.find(({ name }) => name === 'whodunit.delivery.duration')?.value).toMatchObject({ count: 1, sum: 0.12 });
  });

  it('omit normal exits until the loader has reported them', async () => {
    await metrics.flush();
    const outcomes = exported
      .flat()
      .filter(({ name }) => name === 'whodunit.process.exits')
      .map(({ attributes }) => attributes['whodunit.outcome']);
    expect(outcomes).toEqual(['filtered', 'aggregated', 'reported']);
  });
});
