// SPDX-License-Identifier: Apache-2.0
// Counts terminations and sends all metrics with the official exporter. A termination is counted under the victim's service, so each
// service has its own MeterProvider; all share one exporter and one timer (docs/decisions/0010). services.ts limits services and series;
// own-instruments.ts has whodunit's own metrics.
import { type Attributes as OtelAttributes, ValueType } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import type { MetricsState } from '../../core/delivery/export-state.ts';
import type { Host } from '../../core/identity/host.ts';
import type { KernelCounts } from '../../core/kernel-counts.ts';
import type { Displaced, OriginKey } from '../../core/shares.ts';
import type { Attributes } from '../../core/telemetry/attributes.ts';
import { hostAttributes, metricResource, serviceLevel } from '../../core/telemetry/resource.ts';
import * as semconv from '../../core/telemetry/semconv.ts';
import type { Verdict } from '../../core/verdict/verdict.ts';
import { VERSION } from '../../core/version.ts';
import { isUnreached, MetricSender, type MetricSenderOptions } from './metric-sender.ts';
import { createInstruments, type Observed } from './own-instruments.ts';
import { type Series, type Service as ServiceOf, Services } from './services.ts';

/** Delay before the 0 of a new series is sent; its first value follows with the timer. */
const ZERO_DELAY_MS = 200;

/** Collects on request only. */
class Reader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

type Service = ServiceOf<Reader>;

export interface MetricsOptions extends MetricSenderOptions {
  readonly host: Host;
  /** Returns the current values of the other stages. */
  readonly observe: () => Observed;
  readonly intervalMs: number;
  /** What previous runs exported of the counters that outlive the service. null: not known. Absent: nothing. */
  readonly exported?: KernelCounts | null;
  /** Called when more of them was accepted. */
  readonly onExported?: (counts: KernelCounts) => void;
}

/** What to export: every value, or only the 0 of new series. */
type Job = 'values' | 'zeros';

export class Metrics {
  readonly #options: MetricsOptions;
  readonly #sender: MetricSender;
  readonly #services: Services<Reader>;
  readonly #own: { reader: Reader; provider: MeterProvider };
  readonly #instruments: ReturnType<typeof createInstruments>;
  readonly #clock: NodeJS.Timeout;
  #zeroTimer: NodeJS.Timeout | null = null;
  /** The exports that run, one after the other; null: none. */
  #running: Promise<void> | null = null;
  /** What is exported after them. It is collected then, so it has the newest values. */
  #next: Job | null = null;
  #closing = false;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#sender = new MetricSender(options);
    this.#services = new Services({
      counterOf: (resource) => this.#counterOf(resource),
      host: hostAttributes(options.host),
      onNewSeries: () => this.#sendZeros(),
    });
    // The version is added last: an update of whodunit must not look like another instance, and the old one like a silent host.
    this.#own = this.#provider({
      ...metricResource({ [semconv.SERVICE_NAME]: 'whodunit', ...hostAttributes(options.host) }),
      [semconv.SERVICE_VERSION]: VERSION,
    });
    this.#instruments = createInstruments(
      this.#own.provider.getMeter(semconv.SCOPE_NAME, VERSION, SCHEMA),
      options.observe,
      options.exported,
    );
    this.#clock = setInterval(() => void this.flush(), options.intervalMs);
  }

  /** The meters of whodunit's own metrics, for the SDK's self-observation. */
  get meters(): MeterProvider {
    return this.#own.provider;
  }

  /** Terminations that are not counted under their service, or not in a series of their own. */
  get displaced(): Record<'metric_services' | 'metric_series', Displaced> {
    return { metric_services: this.#services.withoutService, metric_series: this.#services.withoutSeries };
  }

  snapshot(): MetricsState {
    const { metric_services: services, metric_series: series } = this.displaced;
    return { ...this.#sender.snapshot(), overflows: services.total + series.total };
  }

  /** Counts terminations under their service. `origin`: who fills services and series. */
  terminated(resource: Attributes, verdict: Pick<Verdict, 'cause' | 'errorType'>, origin: OriginKey, times = 1): void {
    const attributes: OtelAttributes = {
      [semconv.CAUSE]: verdict.cause,
      ...(verdict.errorType === null ? {} : { [semconv.ERROR_TYPE]: verdict.errorType }),
      [semconv.PROCESS_EXECUTABLE_NAME]: String(resource[semconv.PROCESS_EXECUTABLE_NAME]),
    };
    const service = serviceLevel(resource, this.#options.host);
    this.#services.count(service, attributes, origin, performance.now(), times);
  }

  #sendZeros(): void {
    this.#zeroTimer ??= setTimeout(() => {
      this.#zeroTimer = null;
      void this.#request('zeros');
    }, ZERO_DELAY_MS);
  }

  /** `seconds`: from the termination of a process to the collector's acceptance. */
  delivered(seconds: number): void {
    this.#instruments.delivered(Math.max(0, seconds));
  }

  /** Exports everything now, or after the export that runs. Never rejects: what failed is part of the next export. */
  flush(): Promise<void> {
    return this.#request('values');
  }

  /** The last export: 0 for new series, then every value. */
  async close(): Promise<void> {
    clearInterval(this.#clock);
    if (this.#zeroTimer !== null) clearTimeout(this.#zeroTimer);
    this.#closing = true;
    this.#next = null;
    await this.#running;
    await this.#attempt(async () => {
      if ((await this.#zeros()) && (await this.#values(() => true))) await this.#exportOwn();
    });
    await this.#options.exporter.shutdown();
  }

  /** At most one export waits for the one that runs. */
  #request(job: Job): Promise<void> {
    if (this.#closing) return Promise.resolve();
    if (this.#next !== 'values') this.#next = job;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    for (let job = this.#next; job !== null; job = this.#next) {
      this.#next = null;
      await this.#attempt(async () => {
        if (job === 'zeros') return void (await this.#zeros());
        const settled = performance.now() - this.#options.intervalMs / 2;
        if (await this.#values(({ zeroAt }) => zeroAt !== null && zeroAt <= settled)) await this.#exportOwn();
        this.#services.forget(performance.now());
      });
    }
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#options.log.rateLimited('metrics', `the metrics could not be collected: ${String(error)}`);
    }
  }

  /** Exports the services that have a new series. False: the target cannot be reached, or the service is shutting down. */
  #zeros(): Promise<boolean> {
    const fresh = this.#services
      .all()
      .filter(({ series }) => [...series.values()].some(({ zeroAt }) => zeroAt === null));
    return this.#exportAll(fresh, () => false);
  }

  #values(due: (series: Series) => boolean): Promise<boolean> {
    return this.#exportAll(this.#services.all(), due);
  }

  /** Stops at the first export that does not reach the target: each of the others would wait for the same timeout. */
  async #exportAll(services: readonly Service[], due: (series: Series) => boolean): Promise<boolean> {
    const closing = this.#closing;
    for (const service of services) {
      if (closing !== this.#closing || !(await this.#export(service, due))) return false;
    }
    return closing === this.#closing;
  }

  /** Adds the held values of the series that are `due`, and sends the service's counters. False: the target cannot be reached. */
  async #export(service: Service, due: (series: Series) => boolean): Promise<boolean> {
    const fresh: Series[] = [];
    let complete = true;
    for (const series of service.series.values()) {
      if (due(series)) {
        if (series.held > 0) service.add(series.held, series.attributes);
        series.held = 0;
      }
      complete &&= series.held === 0;
      if (series.zeroAt === null) fresh.push(series);
    }
    service.settled = true; // until a termination is counted
    const outcome = await this.#sender.send(service.reader);
    const accepted = outcome === null || outcome.kind === 'success';
    service.settled &&= complete && (accepted || outcome.kind === 'rejected');
    if (accepted) for (const series of fresh) series.zeroAt = performance.now();
    return !isUnreached(outcome);
  }

  async #exportOwn(): Promise<void> {
    const outcome = await this.#sender.send(this.#own.reader);
    const counts = this.#instruments.collected();
    if (outcome?.kind === 'success' && counts !== null) this.#options.onExported?.(counts);
  }

  #counterOf(attributes: Attributes): Pick<Service, 'reader' | 'add'> {
    const { provider, reader } = this.#provider(metricResource(attributes));
    const counter = provider
      .getMeter(semconv.SCOPE_NAME, VERSION, SCHEMA)
      .createCounter(semconv.METRIC_PROCESS_TERMINATIONS, {
        unit: '{termination}',
        description: 'Number of abnormal process terminations, and of graceful stops.',
        valueType: ValueType.INT,
      });
    return { reader, add: (value, series) => counter.add(value, series) };
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

const SCHEMA = { schemaUrl: semconv.SCHEMA_URL } as const;
