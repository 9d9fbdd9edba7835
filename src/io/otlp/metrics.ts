// SPDX-License-Identifier: Apache-2.0
// Sends all metrics with the official exporter. All services share one exporter and one timer (docs/decisions/0010). meters.ts counts,
// services.ts limits services and series, own-instruments.ts has whodunit's own metrics.
import type { MeterProvider } from '@opentelemetry/sdk-metrics';
import type { MetricsState } from '../../core/delivery/export-state.ts';
import type { KernelCounts } from '../../core/kernel-counts.ts';
import { addHeld, type CountsOptions, Meters, type Service } from './meters.ts';
import { isUnreached, MetricSender, type MetricSenderOptions } from './metric-sender.ts';
import type { Series } from './services.ts';

/** Delay before the 0 of a new series is sent; its first value follows with the timer. */
const ZERO_DELAY_MS = 200;

export interface MetricsOptions extends MetricSenderOptions, CountsOptions {
  readonly intervalMs: number;
  /** Called when more of the counters that outlive the service was accepted. */
  readonly onExported?: (counts: KernelCounts) => void;
}

/** What to export: every value, or only the 0 of new series. */
type Job = 'values' | 'zeros';

export class Metrics {
  readonly #options: MetricsOptions;
  readonly #sender: MetricSender;
  readonly #meters: Meters;
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
    const { exporter } = options;
    const aggregation = exporter.selectAggregation?.bind(exporter);
    const temporality = exporter.selectAggregationTemporality?.bind(exporter);
    this.#meters = new Meters({
      ...options,
      reader: {
        ...(aggregation === undefined ? {} : { aggregationSelector: aggregation }),
        ...(temporality === undefined ? {} : { aggregationTemporalitySelector: temporality }),
      },
      onNewSeries: () => this.#sendZeros(),
    });
    this.#clock = setInterval(() => void this.flush(), options.intervalMs);
  }

  /** The meters of whodunit's own metrics, for the SDK's self-observation. */
  get meters(): MeterProvider {
    return this.#meters.own.provider;
  }

  get displaced(): Meters['displaced'] {
    return this.#meters.displaced;
  }

  snapshot(): MetricsState {
    return { ...this.#sender.snapshot(), overflows: this.#meters.overflows };
  }

  terminated(...counted: Parameters<Meters['terminated']>): void {
    this.#meters.terminated(...counted);
  }

  #sendZeros(): void {
    this.#zeroTimer ??= setTimeout(() => {
      this.#zeroTimer = null;
      void this.#request('zeros');
    }, ZERO_DELAY_MS);
  }

  delivered(seconds: number): void {
    this.#meters.delivered(seconds);
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
        this.#meters.services.forget(performance.now());
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
    const fresh = this.#meters.services
      .all()
      .filter(({ series }) => [...series.values()].some(({ zeroAt }) => zeroAt === null));
    return this.#exportAll(fresh, () => false);
  }

  #values(due: (series: Series) => boolean): Promise<boolean> {
    return this.#exportAll(this.#meters.services.all(), due);
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
    const { complete, fresh } = addHeld(service, due);
    service.settled = true; // until a termination is counted
    const outcome = await this.#sender.send(service.reader);
    const accepted = outcome === null || outcome.kind === 'success';
    service.settled &&= complete && (accepted || outcome.kind === 'rejected');
    if (accepted) for (const series of fresh) series.zeroAt = performance.now();
    return !isUnreached(outcome);
  }

  async #exportOwn(): Promise<void> {
    const outcome = await this.#sender.send(this.#meters.own.reader);
    const counts = this.#meters.collected();
    if (outcome?.kind === 'success' && counts !== null) this.#options.onExported?.(counts);
  }
}
