// SPDX-License-Identifier: Apache-2.0
// The counters of docs/telemetry.md, sent by the official exporter. A termination is counted under the victim's service, so each
// service has a MeterProvider of its own; one exporter and one clock serve them all (docs/decisions/). What the numbers
// are is left to the stages that count them: observed.ts.
import { type Meter, type Attributes as OtelAttributes, ValueType } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, MetricReader, type PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { OUTCOMES } from '../../core/counters.ts';
import { withoutCredentials } from '../../core/delivery/diagnose.ts';
import type { MetricsState } from '../../core/delivery/export-state.ts';
import type { Target } from '../../core/delivery/target.ts';
import { type Attributes, type Host, hostAttributes, serviceLevel } from '../../core/identity/resource.ts';
import * as semconv from '../../core/telemetry/semconv.ts';
import type { Verdict } from '../../core/verdict/verdict.ts';
import { VERSION } from '../../core/version.ts';
import type { Log } from '../log.ts';
import type { Observed, ObservedQueue } from './observed.ts';

/** Services that are told apart; the ends of further ones are counted under the host alone. */
export const SERVICES_MAX = 256;
/** Series of one service; further ends are counted under `otel.metric.overflow` (metrics SDK specification, Cardinality limits). */
export const SERIES_MAX = 256;
const OVERFLOW: OtelAttributes = { [semconv.OTEL_METRIC_OVERFLOW]: true };
/** A new series' 0 is sent this soon; its first value follows with the clock. */
const ZERO_DELAY_MS = 200;

/** Collects when it is told to. */
class Reader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

interface Series {
  readonly attributes: OtelAttributes;
  held: number;
  /** When its 0 was accepted, ms; null: not yet. */
  zeroAt: number | null;
}

interface Service {
  readonly reader: Reader;
  readonly add: (value: number, attributes: OtelAttributes) => void;
  readonly series: Map<string, Series>;
}

export interface MetricsOptions {
  readonly exporter: PushMetricExporter;
  readonly host: Host;
  /** What is observed of the other stages. */
  readonly observe: () => Observed;
  readonly log: Log;
  readonly intervalMs: number;
  readonly target: Target;
}

export class Metrics {
  readonly #options: MetricsOptions;
  readonly #services = new Map<string, Service>();
  readonly #own: { reader: Reader; provider: MeterProvider };
  readonly #duration: (seconds: number) => void;
  readonly #clock: NodeJS.Timeout;
  #zeroTimer: NodeJS.Timeout | null = null;
  /** Exports are made one after the other: the tail of the chain. */
  #tail: Promise<void> = Promise.resolve();
  #lastSuccessMs: number | null = null;
  #lastError: string | null = null;
  #overflows = 0;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#own = this.#provider({
      [semconv.SERVICE_NAME]: 'whodunit',
      [semconv.SERVICE_VERSION]: VERSION,
      ...hostAttributes(options.host),
    });
    this.#duration = this.#instruments();
    this.#clock = setInterval(() => void this.flush(), options.intervalMs);
  }

  /** Whodunit's own meters, for the SDK's self-observation. */
  get meters(): MeterProvider {
    return this.#own.provider;
  }

  snapshot(): MetricsState {
    return {
      target: this.#options.target,
      lastSuccessMs: this.#lastSuccessMs,
      lastError: this.#lastError,
      nextAttemptMs: null,
      overflows: this.#overflows,
    };
  }

  /** Counts one end under its service. */
  terminated(resource: Attributes, verdict: Verdict): void {
    const service = this.#service(serviceLevel(resource));
    const attributes: OtelAttributes = {
      [semconv.CAUSE]: verdict.cause,
      [semconv.ERROR_TYPE]: verdict.errorType,
      [semconv.PROCESS_EXECUTABLE_NAME]: String(resource[semconv.PROCESS_EXECUTABLE_NAME]),
    };
    const series = this.#series(service, attributes);
    series.held += 1;
  }

  /** The series of these attributes; of a service that has too many, the one that the specification has for overflow. */
  #series(service: Service, attributes: OtelAttributes): Series {
    const key = JSON.stringify(attributes);
    const known = service.series.get(key);
    if (known !== undefined) return known;
    if (service.series.size >= SERIES_MAX && attributes !== OVERFLOW) {
      this.#overflowed(`of one service, more than ${SERIES_MAX} combinations of cause, error and executable have died`);
      return this.#series(service, OVERFLOW);
    }
    const series: Series = { attributes, held: 0, zeroAt: null };
    service.series.set(key, series);
    // A rise from nothing is no increase for PromQL and its like: 0 first.
    service.add(0, attributes);
    this.#zeroTimer ??= setTimeout(() => this.#zeros(), ZERO_DELAY_MS);
    return series;
  }

  #overflowed(what: string): void {
    this.#overflows += 1;
    this.#options.log.rateLimited('overflow', `${what}: further ones are counted together`);
  }

  /** `seconds`: from the end of a process to the collector's yes. */
  delivered(seconds: number): void {
    this.#duration(Math.max(0, seconds));
  }

  /** Exports everything now. Never rejects: what failed is told by the next export, since values are cumulative. */
  flush(): Promise<void> {
    return this.#enqueue(async () => {
      const settled = Date.now() - this.#options.intervalMs / 2;
      for (const service of this.#services.values())
        await this.#export(service, (series) => series.zeroAt !== null && series.zeroAt <= settled);
      await this.#send(this.#own.reader);
    });
  }

  /** The last export: 0 for what is new, then every value. */
  async close(): Promise<void> {
    clearInterval(this.#clock);
    if (this.#zeroTimer !== null) clearTimeout(this.#zeroTimer);
    await this.#enqueue(async () => {
      for (const service of this.#services.values()) {
        if ([...service.series.values()].some(({ zeroAt }) => zeroAt === null))
          await this.#export(service, () => false);
        await this.#export(service, () => true);
      }
      await this.#send(this.#own.reader);
    });
    await this.#options.exporter.shutdown();
  }

  #zeros(): void {
    this.#zeroTimer = null;
    void this.#enqueue(async () => {
      for (const service of this.#services.values()) {
        if ([...service.series.values()].some(({ zeroAt }) => zeroAt === null))
          await this.#export(service, () => false);
      }
    });
  }

  #enqueue(job: () => Promise<void>): Promise<void> {
    this.#tail = this.#tail.then(job).catch((error: unknown) => {
      this.#options.log.rateLimited('metrics', `the metrics could not be collected: ${String(error)}`);
    });
    return this.#tail;
  }

  /** Releases the held values of the series that `due` names, and sends the service's counters. */
  async #export(service: Service, due: (series: Series) => boolean): Promise<void> {
    const fresh: Series[] = [];
    for (const series of service.series.values()) {
      if (due(series)) {
        if (series.held > 0) service.add(series.held, series.attributes);
        series.held = 0;
      }
      if (series.zeroAt === null) fresh.push(series);
    }
    if (await this.#send(service.reader)) for (const series of fresh) series.zeroAt = Date.now();
  }

  async #send(reader: Reader): Promise<boolean> {
    const { exporter, log, target } = this.#options;
    const { resourceMetrics } = await reader.collect();
    if (resourceMetrics.scopeMetrics.length === 0) return true;
    const error = await new Promise<Error | null>((resolve) => {
      exporter.export(resourceMetrics, (result) =>
        resolve(result.code === 0 ? null : (result.error ?? new Error('failed'))),
      );
    });
    this.#lastError = error === null ? null : error.message;
    if (error === null) this.#lastSuccessMs = Date.now();
    else {
      const name = `the collector at ${withoutCredentials(target.endpoint)}`;
      log.rateLimited('metrics', `${name} does not take metrics (${error.message}). The next export tells the same.`);
    }
    return error === null;
  }

  #service(attributes: Attributes): Service {
    const key = JSON.stringify(attributes);
    const known = this.#services.get(key);
    if (known !== undefined) return known;
    if (this.#services.size >= SERVICES_MAX) {
      this.#overflowed(`more than ${SERVICES_MAX} services have lost a process`);
      const overflow = hostAttributes(this.#options.host);
      const shared = this.#services.get(JSON.stringify(overflow));
      return shared ?? this.#addService(overflow);
    }
    return this.#addService(attributes);
  }

  #addService(attributes: Attributes): Service {
    const { provider, reader } = this.#provider(attributes);
    const counter = provider
      .getMeter(semconv.SCOPE_NAME, VERSION, SCHEMA)
      .createCounter(semconv.METRIC_PROCESS_TERMINATIONS, {
        unit: '{termination}',
        description: 'Abnormal process terminations.',
        valueType: ValueType.INT,
      });
    const service: Service = { reader, add: (value, series) => counter.add(value, series), series: new Map() };
    this.#services.set(JSON.stringify(attributes), service);
    return service;
  }

  #provider(attributes: Attributes): { reader: Reader; provider: MeterProvider } {
    const { exporter } = this.#options;
    const aggregation = exporter.selectAggregation?.bind(exporter);
    const temporality = exporter.selectAggregationTemporality?.bind(exporter);
    const reader = new Reader({
      ...(aggregation === undefined ? {} : { aggregationSelector: aggregation }),
      ...(temporality === undefined ? {} : { aggregationTemporalitySelector: temporality }),
    });
    const resource = resourceFromAttributes(attributes as OtelAttributes, { schemaUrl: semconv.SCHEMA_URL });
    return { reader, provider: new MeterProvider({ resource, readers: [reader] }) };
  }

  #instruments(): (seconds: number) => void {
    const { observe } = this.#options;
    // The queue's counters are as old as its directory, a series of this process as old as the process.
    const before = observe();
    const meter = this.#own.provider.getMeter(semconv.SCOPE_NAME, VERSION, SCHEMA);
    const exits = meter.createObservableCounter(semconv.METRIC_PROCESS_EXITS, {
      unit: '{exit}',
      description: 'Ends of processes.',
      valueType: ValueType.INT,
    });
    exits.addCallback((result) => {
      const now = observe();
      if (now.normalExits !== null) result.observe(now.normalExits, { [semconv.OUTCOME]: 'normal' });
      for (const outcome of OUTCOMES) result.observe(now[outcome] - before[outcome], { [semconv.OUTCOME]: outcome });
    });
    const lost = meter.createObservableCounter(semconv.METRIC_EVENTS_LOST, {
      unit: '{event}',
      description: 'Deaths that were lost.',
      valueType: ValueType.INT,
    });
    lost.addCallback((result) => {
      const now = observe();
      for (const stage of semconv.STAGE_VALUES)
        result.observe(now.lost[stage] - before.lost[stage], { [semconv.STAGE]: stage });
    });
    this.#queueInstruments(meter);
    const duration = meter.createHistogram(semconv.METRIC_DELIVERY_DURATION, {
      unit: 's',
      description: "From the end of the process to the collector's yes.",
      advice: { explicitBucketBoundaries: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600] },
    });
    return (seconds) => duration.record(seconds);
  }

  /** The queue as it is when it is asked; nothing where there is none. */
  #queueInstruments(meter: Meter): void {
    const { observe } = this.#options;
    const gauge = (name: string, unit: string, description: string, read: (queue: ObservedQueue) => number): void => {
      meter.createObservableGauge(name, { unit, description }).addCallback((result) => {
        const { queue } = observe();
        if (queue !== null) result.observe(read(queue));
      });
    };
    gauge(semconv.METRIC_QUEUE_SIZE, '{record}', 'Records that wait on disk.', ({ records }) => records);
    gauge(semconv.METRIC_QUEUE_BYTES, 'By', 'What they take there.', ({ bytes }) => bytes);
    gauge(
      semconv.METRIC_QUEUE_OLDEST_AGE,
      's',
      'Since the end of the process whose record waits longest.',
      ({ oldestMs }) => (oldestMs === null ? 0 : Math.max(0, Date.now() - oldestMs) / 1000),
    );
  }
}

const SCHEMA = { schemaUrl: semconv.SCHEMA_URL } as const;
