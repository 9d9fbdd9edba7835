// SPDX-License-Identifier: Apache-2.0
// Counts terminations and sends all metrics with the official exporter. A termination is counted under the victim's service, so each
// service has its own MeterProvider; all share one exporter and one timer (docs/decisions/0010). own-instruments.ts has whodunit's own
// metrics.
import { type Attributes as OtelAttributes, ValueType } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, MetricReader, type PushMetricExporter, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { MetricsState } from '../../core/delivery/export-state.ts';
import { describeFailure, describePartial, type Failure, type Outcome } from '../../core/delivery/outcome.ts';
import { type Target, withoutCredentials } from '../../core/delivery/target.ts';
import type { Host } from '../../core/identity/host.ts';
import type { Attributes } from '../../core/telemetry/attributes.ts';
import { hostAttributes, metricResource, serviceLevel } from '../../core/telemetry/resource.ts';
import * as semconv from '../../core/telemetry/semconv.ts';
import type { Verdict } from '../../core/verdict/verdict.ts';
import { VERSION } from '../../core/version.ts';
import type { Log } from '../log.ts';
import { exportOnce } from './exchange.ts';
import { createInstruments, type Observed } from './own-instruments.ts';

/** Maximum number of services; terminations of further ones are counted under the host alone. */
export const SERVICES_MAX = 256;
/** Maximum number of series of one service; further ones are counted under `otel.metric.overflow` (metrics SDK specification, Cardinality limits). */
export const SERIES_MAX = 256;
const OVERFLOW: OtelAttributes = { [semconv.OTEL_METRIC_OVERFLOW]: true };
/** Delay before the 0 of a new series is sent; its first value follows with the timer. */
const ZERO_DELAY_MS = 200;

/** Collects on request only. */
class Reader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

interface Series {
  readonly attributes: OtelAttributes;
  /** Terminations that are not added to the counter yet. */
  held: number;
  /** When its 0 was accepted, ms since 1970; null: not yet. */
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
  /** Returns the current values of the other stages. */
  readonly observe: () => Observed;
  readonly log: Log;
  readonly intervalMs: number;
  readonly target: Target;
}

export class Metrics {
  readonly #options: MetricsOptions;
  /** The name of the target in log lines. */
  readonly #name: string;
  readonly #services = new Map<string, Service>();
  readonly #own: { reader: Reader; provider: MeterProvider };
  readonly #duration: (seconds: number) => void;
  readonly #clock: NodeJS.Timeout;
  #zeroTimer: NodeJS.Timeout | null = null;
  /** The end of the chain of exports, which run one after the other. */
  #tail: Promise<void> = Promise.resolve();
  #lastSuccessMs: number | null = null;
  #lastFailure: Failure | null = null;
  #rejected = 0;
  #overflows = 0;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#name = `the collector at ${withoutCredentials(options.target.endpoint)}`;
    // The version is added last: an update of whodunit must not look like another instance, and the old one like a silent host.
    this.#own = this.#provider({
      ...metricResource({ [semconv.SERVICE_NAME]: 'whodunit', ...hostAttributes(options.host) }),
      [semconv.SERVICE_VERSION]: VERSION,
    });
    this.#duration = createInstruments(
      this.#own.provider.getMeter(semconv.SCOPE_NAME, VERSION, SCHEMA),
      options.observe,
    );
    this.#clock = setInterval(() => void this.flush(), options.intervalMs);
  }

  /** The meters of whodunit's own metrics, for the SDK's self-observation. */
  get meters(): MeterProvider {
    return this.#own.provider;
  }

  snapshot(): MetricsState {
    return {
      target: this.#options.target,
      lastSuccessMs: this.#lastSuccessMs,
      lastFailure: this.#lastFailure,
      nextAttemptMs: null,
      rejected: this.#rejected,
      overflows: this.#overflows,
    };
  }

  /** Counts one termination under its service. */
  terminated(resource: Attributes, verdict: Verdict): void {
    const service = this.#service(serviceLevel(resource, this.#options.host));
    const attributes: OtelAttributes = {
      [semconv.CAUSE]: verdict.cause,
      [semconv.ERROR_TYPE]: verdict.errorType,
      [semconv.PROCESS_EXECUTABLE_NAME]: String(resource[semconv.PROCESS_EXECUTABLE_NAME]),
    };
    const series = this.#series(service, attributes);
    series.held += 1;
  }

  /** Returns the series of these attributes, or the overflow series of the specification if the service has too many. */
  #series(service: Service, attributes: OtelAttributes): Series {
    const key = JSON.stringify(attributes);
    const known = service.series.get(key);
    if (known !== undefined) return known;
    if (service.series.size >= SERIES_MAX && attributes !== OVERFLOW) {
      this.#overflowed(`one service has more than ${SERIES_MAX} combinations of cause, error and executable`);
      return this.#series(service, OVERFLOW);
    }
    const series: Series = { attributes, held: 0, zeroAt: null };
    service.series.set(key, series);
    // PromQL shows no increase if a series starts with a value above 0, so 0 is sent first.
    service.add(0, attributes);
    this.#zeroTimer ??= setTimeout(() => this.#zeros(), ZERO_DELAY_MS);
    return series;
  }

  #overflowed(what: string): void {
    this.#overflows += 1;
    this.#options.log.rateLimited(
      'overflow',
      `${what}: further ones are counted together in whodunit.process.terminations, ${this.#overflows} so far`,
    );
  }

  /** `seconds`: from the termination of a process to the collector's acceptance. */
  delivered(seconds: number): void {
    this.#duration(Math.max(0, seconds));
  }

  /** Exports everything now. Never rejects: values are cumulative, so the next export repeats what failed. */
  flush(): Promise<void> {
    return this.#enqueue(async () => {
      const settled = Date.now() - this.#options.intervalMs / 2;
      for (const service of this.#services.values())
        await this.#export(service, (series) => series.zeroAt !== null && series.zeroAt <= settled);
      await this.#send(this.#own.reader);
    });
  }

  /** The last export: 0 for new series, then every value. */
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

  /** Adds the held values of the series that are `due`, and sends the service's counters. */
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
    const { exporter } = this.#options;
    const { resourceMetrics } = await reader.collect();
    if (resourceMetrics.scopeMetrics.length === 0) return true;
    const outcome = await exportOnce((done) => exporter.export(resourceMetrics, done));
    this.#settle(outcome, pointsIn(resourceMetrics));
    return outcome.kind === 'success';
  }

  #settle(outcome: Outcome, points: number): void {
    const { log } = this.#options;
    if (outcome.kind !== 'success') {
      this.#lastFailure = outcome;
      if (outcome.kind === 'rejected') this.#rejected += points;
      const reason = describeFailure(outcome);
      log.rateLimited(
        'metrics',
        `${this.#name} does not accept metrics (${reason}). They are cumulative: the next export repeats the values.`,
      );
      return;
    }
    this.#lastFailure = null;
    this.#lastSuccessMs = Date.now();
    if (outcome.partial === null) return;
    const rejected = Math.min(outcome.partial.rejected, points);
    this.#rejected += rejected;
    const text = describePartial(rejected, points, 'data points', outcome.partial.message);
    log.rateLimited('metrics partial', `${this.#name} ${text}; ${this.#rejected} rejected so far`);
  }

  #service(attributes: Attributes): Service {
    const key = JSON.stringify(attributes);
    const known = this.#services.get(key);
    if (known !== undefined) return known;
    if (this.#services.size >= SERVICES_MAX) {
      this.#overflowed(`more than ${SERVICES_MAX} services had terminations`);
      const overflow = hostAttributes(this.#options.host);
      const shared = this.#services.get(JSON.stringify(overflow));
      return shared ?? this.#addService(overflow);
    }
    return this.#addService(attributes);
  }

  #addService(attributes: Attributes): Service {
    const { provider, reader } = this.#provider(metricResource(attributes));
    const counter = provider
      .getMeter(semconv.SCOPE_NAME, VERSION, SCHEMA)
      .createCounter(semconv.METRIC_PROCESS_TERMINATIONS, {
        unit: '{termination}',
        description: 'Number of abnormal process terminations.',
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
}

function pointsIn({ scopeMetrics }: ResourceMetrics): number {
  return scopeMetrics.flatMap(({ metrics }) => metrics).reduce((sum, { dataPoints }) => sum + dataPoints.length, 0);
}

const SCHEMA = { schemaUrl: semconv.SCHEMA_URL } as const;
