// SPDX-License-Identifier: Apache-2.0
// The counters from which /status, /readyz and the metrics are told. Each stage writes its own; nobody else does. Those of deaths
// are the queue's, and as old as its directory; without a queue they begin with the service. The sum that must hold, always:
// received + summaries = reported + filtered + aggregated + pending + lost in the queue + lost in the export.
import type { ExportState, MetricsState, TracesState } from '../core/delivery/export-state.ts';
import type { StageValue } from '../core/telemetry/semconv.ts';
import type { Hello, LoaderStatus } from '../core/wire/event.ts';
import type { Observed } from './otlp/own-instruments.ts';

/** An exporter, which keeps its own counters. */
interface Snapshots<T> {
  snapshot(): T;
}

/** What the queue tells when it is asked. */
export interface QueueState {
  readonly path: string;
  readonly bytesMax: number;
  /** When the process of the oldest waiting record ended, ms since 1970. */
  oldestMs(): number | null;
  /** Newest first. */
  lastRejections(limit: number): { timeMs: number; count: number; reason: string; record: Uint8Array | null }[];
}

export interface Stats {
  readonly startedMs: number;
  /** Deaths read from the socket, second copies not counted. */
  received: number;
  /** Accepted by every exporter (or printed, where there is only the console). */
  reported: number;
  filtered: number;
  /** Told in a summary instead of a record of their own. */
  aggregated: number;
  /** Records that are no deaths: summaries of those, and restarts. */
  summaries: number;
  duplicates: number;
  /** Lines that could not be read; of those, deaths. */
  badLines: number;
  badDeaths: number;
  /** Records that the collector refused for good. */
  rejected: number;
  /** Records that went because the queue was full, and that were in a damaged part of it. */
  evicted: number;
  damaged: number;
  /** Records in the queue, and what they cost there. */
  pending: number;
  queueBytes: number;
  /** null: no collector, no queue. */
  queue: QueueState | null;
  /** Why the queue takes nothing at the moment; null: it does. */
  queueError: string | null;
  connected: boolean;
  hello: Hello | null;
  loader: LoaderStatus | null;
  /** Why the socket does not work at the moment. */
  socketError: string | null;
  /** null: the signal is not sent. */
  readonly exports: {
    logs: Snapshots<ExportState> | null;
    metrics: Snapshots<MetricsState> | null;
    traces: Snapshots<TracesState> | null;
  };
}

export function newStats(nowMs: number): Stats {
  return {
    startedMs: nowMs,
    received: 0,
    reported: 0,
    filtered: 0,
    aggregated: 0,
    summaries: 0,
    duplicates: 0,
    badLines: 0,
    badDeaths: 0,
    rejected: 0,
    evicted: 0,
    damaged: 0,
    pending: 0,
    queueBytes: 0,
    queue: null,
    queueError: null,
    connected: false,
    hello: null,
    loader: null,
    socketError: null,
    exports: { logs: null, metrics: null, traces: null },
  };
}

/** Deaths lost, by the stage that lost them. `memory_full` is not among them: it loses facts, not deaths. */
export function lostByStage(stats: Stats): Record<StageValue, number> {
  const lost = stats.loader?.lost;
  return {
    kernel: lost === undefined ? 0 : Number(lost.ring_full + lost.missed),
    loader: (lost === undefined ? 0 : Number(lost.undecodable)) + stats.badDeaths,
    queue: stats.evicted + stats.damaged,
    export: stats.rejected,
  };
}

/** What the metrics report of the stages that still count here. */
export function observedOf(stats: Stats): Observed {
  const { loader, reported, filtered, aggregated, queue, pending, queueBytes } = stats;
  return {
    normalExits: loader === null ? null : Number(loader.exits_normal),
    reported,
    filtered,
    aggregated,
    lost: lostByStage(stats),
    queue: queue && { records: pending, bytes: queueBytes, oldestMs: queue.oldestMs() },
  };
}
