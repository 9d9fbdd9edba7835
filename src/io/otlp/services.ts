// SPDX-License-Identifier: Apache-2.0
// The services whose terminations are counted, and their series. Both are limited, and shared by origin: names of services and of
// executables are the process's choice. metrics.ts exports them.
import type { Attributes as OtelAttributes } from '@opentelemetry/api';
import { Displaced, FairMap, type OriginKey, Shares } from '../../core/shares.ts';
import type { Attributes } from '../../core/telemetry/attributes.ts';
import { OTEL_METRIC_OVERFLOW } from '../../core/telemetry/semconv.ts';

/**
 * Maximum number of services. For a further one, the origin that has most gives up the one that was idle longest; terminations of an
 * origin that has most itself are counted under the host alone.
 */
export const SERVICES_MAX = 256;
/** Maximum number of series of one service that one origin has. */
export const SERIES_MAX = 256;
/** Of all origins together: each may have as many as are free (Shares.admits()). */
const SERIES_TOTAL_MAX = 2 * SERIES_MAX;
/** Of all services together, and of all origins: what a page of /metrics, and an export, cost. */
export const ALL_SERIES_MAX = 4_096;
/** Maximum number of services that gave way and whose counts the target does not have yet. Beyond it, none gives way. */
const LEAVING_MAX = 4 * SERVICES_MAX;
/** A service without a termination for this time is forgotten. If it terminates again, its counts start with 0. */
export const IDLE_MS = 900_000;

const OVERFLOW: OtelAttributes = { [OTEL_METRIC_OVERFLOW]: true };

export interface Series {
  readonly attributes: OtelAttributes;
  /** Terminations that are not added to the counter yet. */
  held: number;
  /** When its 0 was accepted, in ms of the monotonic clock; null: not yet. */
  zeroAt: number | null;
}

/** A counter of the SDK, with a reader that collects only its values. */
export interface Counter<Reader> {
  readonly reader: Reader;
  readonly add: (value: number, attributes: OtelAttributes) => void;
}

export interface Service<Reader> extends Counter<Reader> {
  readonly series: Map<string, Series>;
  readonly shares: Shares;
  /** The last termination, in ms of the monotonic clock. */
  lastAt: number;
  /** The target has every count. */
  settled: boolean;
}

export interface ServicesOptions<Reader> {
  /** Creates the counter of a resource. */
  readonly counterOf: (resource: Attributes) => Counter<Reader>;
  /** The resource of terminations without a service. */
  readonly host: Attributes;
  readonly onNewSeries: () => void;
}

export class Services<Reader> {
  readonly #options: ServicesOptions<Reader>;
  readonly #services = new FairMap<Service<Reader>>(SERVICES_MAX);
  /** Those that gave way to another: exported until the target has every count. */
  readonly #leaving = new Map<string, Service<Reader>>();
  #host: Service<Reader> | null = null;
  /** The series of each origin, in all services. */
  readonly #series = new Shares();
  /** Terminations that are counted under the host alone, and in the overflow series of a service. */
  readonly withoutService = new Displaced();
  readonly withoutSeries = new Displaced();

  constructor(options: ServicesOptions<Reader>) {
    this.#options = options;
  }

  all(): readonly Service<Reader>[] {
    const host = this.#host === null ? [] : [this.#host];
    return [...this.#leaving.values(), ...this.#services.members().map(({ value }) => value), ...host];
  }

  /** Counts terminations. */
  count(resource: Attributes, attributes: OtelAttributes, origin: OriginKey, nowMs: number, times: number): void {
    const service = this.#service(resource, origin, times);
    service.lastAt = nowMs;
    service.settled = false;
    const key = JSON.stringify(attributes);
    const series = service.series.get(key) ?? this.#newSeries(service, key, attributes, origin, times);
    series.held += times;
  }

  /** Forgets the services that are idle or gave way, if the target has every count. */
  forget(nowMs: number): void {
    for (const [key, service] of this.#leaving) {
      if (!service.settled) continue;
      this.#leaving.delete(key);
      this.#release(service);
    }
    for (const { key, value } of this.#services.members()) {
      if (!value.settled || nowMs - value.lastAt < IDLE_MS) continue;
      this.#services.delete(key);
      this.#release(value);
    }
  }

  #release({ shares }: Service<Reader>): void {
    for (const [origin, held] of shares) this.#series.add(origin, -held);
  }

  /** The service, or the host if the origin has most services itself. */
  #service(resource: Attributes, origin: OriginKey, times: number): Service<Reader> {
    const key = JSON.stringify(resource);
    const known = this.#services.get(key);
    if (known !== undefined) {
      this.#services.touch(key);
      return known;
    }
    if (this.#services.isExhausted(origin) || this.#leaving.size >= LEAVING_MAX) {
      this.withoutService.add(origin, times);
      this.#host ??= this.#newService(this.#options.host);
      return this.#host;
    }
    // A second counter of the same resource would export another value of the same series.
    const service = this.#leaving.get(key) ?? this.#newService(resource);
    this.#leaving.delete(key);
    const displaced = this.#services.set(key, origin, service);
    if (displaced !== null) this.#leaving.set(displaced.key, displaced.value);
    return service;
  }

  #newService(resource: Attributes): Service<Reader> {
    const counter = this.#options.counterOf(resource);
    return { ...counter, series: new Map(), shares: new Shares(), lastAt: 0, settled: false };
  }

  /** The series, or the overflow series of the specification if the origin has too many. */
  #newSeries(
    service: Service<Reader>,
    key: string,
    attributes: OtelAttributes,
    origin: OriginKey,
    times: number,
  ): Series {
    const { shares } = service;
    if (shares.admits(origin, SERIES_TOTAL_MAX) && this.#series.admits(origin, ALL_SERIES_MAX)) {
      shares.add(origin, 1);
      this.#series.add(origin, 1);
      return this.#addSeries(service, key, attributes);
    }
    this.withoutSeries.add(origin, times);
    const overflow = JSON.stringify(OVERFLOW);
    return service.series.get(overflow) ?? this.#addSeries(service, overflow, OVERFLOW);
  }

  /** PromQL shows no increase if a series starts with a value above 0, so 0 is added first. */
  #addSeries(service: Service<Reader>, key: string, attributes: OtelAttributes): Series {
    const series: Series = { attributes, held: 0, zeroAt: null };
    service.series.set(key, series);
    service.add(0, attributes);
    this.#options.onNewSeries();
    return series;
  }
}
