// SPDX-License-Identifier: Apache-2.0
// The metrics as Prometheus scrapes them: the same as metrics.ts sends over OTLP, written by the official exporter, which knows one resource
// and no units. So the names of service and host become labels, and units part of the names, as Prometheus does with OTLP. server.ts
// answers the requests.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import type { DataPoint, MetricData, MetricReader, ResourceMetrics, ScopeMetrics } from '@opentelemetry/sdk-metrics';
import type { HealthAddress } from '../../config/health-address.ts';
import type { PageState } from '../../core/delivery/export-state.ts';
import * as semconv from '../../core/telemetry/semconv.ts';
import { addHeld, type CountsOptions, Meters } from '../otlp/meters.ts';
import type { Series } from '../otlp/services.ts';

export interface PageOptions extends CountsOptions {
  /** Where it is served. */
  readonly address: HealthAddress;
  /** A value above 0 is first shown when its 0 was for half of this time: each Prometheus must see the 0. */
  readonly intervalMs: number;
}

type Labels = Readonly<Record<string, unknown>>;

/** What is the same for every series of this machine: in target_info only. */
const CONSTANT: ReadonlySet<string> = new Set([
  semconv.SERVICE_INSTANCE_ID,
  semconv.HOST_ID,
  semconv.HOST_ARCH,
  semconv.OS_TYPE,
  semconv.OS_VERSION,
  semconv.TELEMETRY_DISTRO_NAME,
  semconv.TELEMETRY_DISTRO_VERSION,
]);
/** Units of UCUM as Prometheus calls them; those in braces have no name. */
const UNITS: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes' };

/** A page that takes longer is served again for some time, so that clients cannot keep the service busy. */
const QUICK_MS = 50;
/** That time, as a multiple of what the page took. */
const REST_FACTOR = 4;

/** A page that is made, or was. */
interface Made {
  readonly text: Promise<Buffer>;
  /** Until then it is served again, in ms of the monotonic clock. */
  untilMs: number;
}

export class MetricsPage {
  readonly #meters: Meters;
  readonly #serializer = new PrometheusSerializer('', false, undefined, false, true);
  readonly #address: HealthAddress;
  readonly #intervalMs: number;
  /** Requests at the same time have the same page. */
  #made: Made | null = null;
  /** When it was last asked for, ms since 1970; null: not yet. */
  #lastMs: number | null = null;

  constructor({ address, intervalMs, ...options }: PageOptions) {
    this.#address = address;
    this.#intervalMs = intervalMs;
    this.#meters = new Meters({ ...options, reader: {}, onNewSeries: () => {} });
  }

  get meters(): Meters['own']['provider'] {
    return this.#meters.own.provider;
  }

  get displaced(): Meters['displaced'] {
    return this.#meters.displaced;
  }

  terminated(...counted: Parameters<Meters['terminated']>): void {
    this.#meters.terminated(...counted);
  }

  delivered(seconds: number): void {
    this.#meters.delivered(seconds);
  }

  snapshot(): PageState {
    return { address: this.#address, lastMs: this.#lastMs, overflows: this.#meters.overflows };
  }

  answer(_: IncomingMessage, response: ServerResponse): void {
    this.#lastMs = Date.now();
    this.#page().then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain' }).end(text),
      (error: Error) => response.writeHead(500).end(`${error.message}\n`),
    );
  }

  #page(): Promise<Buffer> {
    const now = performance.now();
    if (this.#made !== null && now < this.#made.untilMs) return this.#made.text;
    const made: Made = { text: this.#collect(), untilMs: Number.POSITIVE_INFINITY };
    const over = (): void => {
      const tookMs = performance.now() - now;
      made.untilMs = tookMs < QUICK_MS ? 0 : now + tookMs * (1 + REST_FACTOR);
    };
    made.text.then(over, over);
    this.#made = made;
    return made.text;
  }

  async #collect(): Promise<Buffer> {
    const { services, own } = this.#meters;
    const settled = performance.now() - this.#intervalMs / 2;
    const due = ({ zeroAt }: Series): boolean => zeroAt !== null && zeroAt <= settled;
    const scopeMetrics: ScopeMetrics[] = [];
    for (const service of services.all()) {
      const { complete, fresh } = addHeld(service, due);
      service.settled = complete; // until a termination is counted
      scopeMetrics.push(...labelled(await read(service.reader)));
      for (const series of fresh) series.zeroAt = performance.now();
    }
    services.forget(performance.now());
    const itself = await read(own.reader);
    scopeMetrics.push(...labelled(itself, [semconv.SERVICE_VERSION]));
    return Buffer.from(this.#serializer.serialize({ resource: itself.resource, scopeMetrics }));
  }
}

async function read(reader: MetricReader): Promise<ResourceMetrics> {
  return (await reader.collect()).resourceMetrics;
}

/** The metrics with the attributes of the resource, but for constant ones and those that are `omitted`, as labels of each point. */
function labelled({ resource, scopeMetrics }: ResourceMetrics, omitted: readonly string[] = []): ScopeMetrics[] {
  const labels = Object.fromEntries(
    Object.entries(resource.attributes).filter(([key]) => !CONSTANT.has(key) && !omitted.includes(key)),
  );
  return scopeMetrics.map(({ scope, metrics }) => ({
    scope,
    metrics: metrics.map((metric) => renamed(metric, labels)),
  }));
}

function renamed(metric: MetricData, labels: Labels): MetricData {
  const { descriptor } = metric;
  const unit = UNITS[descriptor.unit] ?? '';
  const name = unit === '' || descriptor.name.endsWith(`.${unit}`) ? descriptor.name : `${descriptor.name}.${unit}`;
  const dataPoints = (metric.dataPoints as DataPoint<unknown>[]).map((point) => ({
    ...point,
    attributes: { ...labels, ...point.attributes },
  }));
  return { ...metric, descriptor: { ...descriptor, name, unit }, dataPoints } as MetricData;
}
