// SPDX-License-Identifier: Apache-2.0
// Collects the values of one reader and sends them as one request. Keeps increases that were not accepted, and counts rejected data points.
// metrics.ts decides what is collected and when.
import {
  AggregationTemporality,
  type MetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { ExportState } from '../../core/delivery/export-state.ts';
import { describeFailure, describePartial, type Failure, type Outcome } from '../../core/delivery/outcome.ts';
import { type Target, withoutCredentials } from '../../core/delivery/target.ts';
import type { Log } from '../log.ts';
import { exportOnce } from './exchange.ts';

export interface MetricSenderOptions {
  readonly exporter: PushMetricExporter;
  readonly log: Log;
  readonly target: Target;
}

export class MetricSender {
  readonly #options: MetricSenderOptions;
  /** The name of the target in log lines. */
  readonly #name: string;
  /** Increases (delta temporality) that were collected and not accepted: the SDK has forgotten them. At most one for each reader. */
  readonly #unsent = new Map<MetricReader, ResourceMetrics>();
  #lastSuccessMs: number | null = null;
  #lastFailure: Failure | null = null;
  #rejected = 0;

  constructor(options: MetricSenderOptions) {
    this.#options = options;
    this.#name = `the collector at ${withoutCredentials(options.target.endpoint)}`;
  }

  snapshot(): ExportState {
    return {
      target: this.#options.target,
      lastSuccessMs: this.#lastSuccessMs,
      lastFailure: this.#lastFailure,
      nextAttemptMs: null,
      rejected: this.#rejected,
    };
  }

  /** Returns the last outcome; null: there is nothing to send. */
  async send(reader: MetricReader): Promise<Outcome | null> {
    const before = this.#unsent.get(reader);
    if (before !== undefined) {
      const outcome = await this.#exportOnce(reader, before);
      if (outcome.kind !== 'success' && outcome.kind !== 'rejected') return outcome;
    }
    const { resourceMetrics } = await reader.collect();
    if (resourceMetrics.scopeMetrics.length === 0) return null;
    return this.#exportOnce(reader, resourceMetrics);
  }

  async #exportOnce(reader: MetricReader, data: ResourceMetrics): Promise<Outcome> {
    const { exporter } = this.#options;
    const outcome = await exportOnce((done) => exporter.export(data, done));
    this.#settle(outcome, pointsIn(data));
    const again = outcome.kind !== 'success' && outcome.kind !== 'rejected' && hasIncreases(data);
    if (again) this.#unsent.set(reader, data);
    else this.#unsent.delete(reader);
    return outcome;
  }

  #settle(outcome: Outcome, points: number): void {
    const { log } = this.#options;
    if (outcome.kind !== 'success') {
      this.#lastFailure = outcome;
      if (outcome.kind === 'rejected') this.#rejected += points;
      const reason = describeFailure(outcome);
      const lost =
        outcome.kind === 'rejected'
          ? `${this.#rejected} data points were rejected so far.`
          : 'The values are kept for the next export.';
      log.rateLimited('metrics', `${this.#name} does not accept metrics (${reason}). ${lost}`);
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
}

export function isUnreached(outcome: Outcome | null): boolean {
  return outcome?.kind === 'retryable' && !outcome.reached;
}

/** Whether values are increases since the last collection. */
function hasIncreases({ scopeMetrics }: ResourceMetrics): boolean {
  return scopeMetrics
    .flatMap(({ metrics }) => metrics)
    .some(({ aggregationTemporality }) => aggregationTemporality === AggregationTemporality.DELTA);
}

function pointsIn({ scopeMetrics }: ResourceMetrics): number {
  return scopeMetrics.flatMap(({ metrics }) => metrics).reduce((sum, { dataPoints }) => sum + dataPoints.length, 0);
}
