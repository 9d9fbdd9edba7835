// SPDX-License-Identifier: Apache-2.0
// The counters of terminations, one MeterProvider for each service, and the provider of whodunit's own metrics (docs/decisions/0010).
// services.ts limits services and series; metrics.ts sends what is counted, ../prometheus/page.ts shows it.
import { type Attributes as OtelAttributes, ValueType } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, MetricReader, type MetricReaderOptions } from '@opentelemetry/sdk-metrics';
import { harmlessText } from '../../core/identity/claims.ts';
import type { Host } from '../../core/identity/host.ts';
import type { KernelCounts } from '../../core/kernel-counts.ts';
import type { Displaced, OriginKey } from '../../core/shares.ts';
import type { Attributes } from '../../core/telemetry/attributes.ts';
import { hostAttributes, metricResource, selfResource, serviceLevel } from '../../core/telemetry/resource.ts';
import * as semconv from '../../core/telemetry/semconv.ts';
import type { Verdict } from '../../core/verdict/verdict.ts';
import { VERSION } from '../../core/version.ts';
import { createInstruments, type Observed } from './own-instruments.ts';
import { type Series, type Service as ServiceOf, Services } from './services.ts';

/** Collects on request only. */
class Reader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

export type Service = ServiceOf<MetricReader>;

export interface CountsOptions {
  readonly host: Host;
  /** Returns the current values of the other stages. */
  readonly observe: () => Observed;
  /** What previous runs exported of the counters that outlive the service. null: not known. Absent: nothing. */
  readonly exported?: KernelCounts | null;
}

export interface MetersOptions extends CountsOptions {
  readonly reader: MetricReaderOptions;
  readonly onNewSeries: () => void;
}

export class Meters {
  readonly #options: MetersOptions;
  readonly services: Services<MetricReader>;
  /** Of whodunit's own metrics. */
  readonly own: { readonly reader: MetricReader; readonly provider: MeterProvider };
  readonly #instruments: ReturnType<typeof createInstruments>;

  constructor(options: MetersOptions) {
    this.#options = options;
    this.services = new Services({
      counterOf: (resource) => this.#counterOf(resource),
      host: hostAttributes(options.host),
      onNewSeries: options.onNewSeries,
    });
    this.own = this.#provider(selfResource(options.host));
    this.#instruments = createInstruments(
      this.own.provider.getMeter(semconv.SCOPE_NAME, VERSION, SCHEMA),
      options.observe,
      options.exported,
    );
  }

  /** Terminations that are not counted under their service, or not in a series of their own. */
  get displaced(): Record<'metric_services' | 'metric_series', Displaced> {
    return { metric_services: this.services.withoutService, metric_series: this.services.withoutSeries };
  }

  /** Terminations of both kinds. */
  get overflows(): number {
    return this.services.withoutService.total + this.services.withoutSeries.total;
  }

  /** Counts terminations under their service. `origin`: who fills services and series. */
  terminated(resource: Attributes, verdict: Pick<Verdict, 'cause' | 'errorType'>, origin: OriginKey, times = 1): void {
    const attributes: OtelAttributes = {
      [semconv.CAUSE]: verdict.cause,
      ...(verdict.errorType === null ? {} : { [semconv.ERROR_TYPE]: verdict.errorType }),
      [semconv.PROCESS_EXECUTABLE_NAME]: harmlessText(String(resource[semconv.PROCESS_EXECUTABLE_NAME])),
    };
    const service = serviceLevel(resource, this.#options.host);
    this.services.count(service, attributes, origin, performance.now(), times);
  }

  /** `seconds`: from the termination of a process to the collector's acceptance. */
  delivered(seconds: number): void {
    this.#instruments.delivered(Math.max(0, seconds));
  }

  /** The counters of kernel and loader at the last collection; null: the loader has not reported them yet. */
  collected(): KernelCounts | null {
    return this.#instruments.collected();
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

  #provider(attributes: Attributes): { reader: MetricReader; provider: MeterProvider } {
    const reader = new Reader(this.#options.reader);
    const resource = resourceFromAttributes(attributes as OtelAttributes, { schemaUrl: semconv.SCHEMA_URL });
    return { reader, provider: new MeterProvider({ resource, readers: [reader] }) };
  }
}

/** Where terminations are counted and deliveries recorded. */
export interface Counted extends Pick<Meters, 'terminated' | 'delivered'> {
  /** For the self-observation of the SDK. */
  readonly meters: MeterProvider;
}

/** Adds the held values of the series that are `due` to their counters. Returns whether none is held any longer, and the new series. */
export function addHeld(service: Service, due: (series: Series) => boolean): { complete: boolean; fresh: Series[] } {
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
  return { complete, fresh };
}

const SCHEMA = { schemaUrl: semconv.SCHEMA_URL } as const;
