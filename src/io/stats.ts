// SPDX-License-Identifier: Apache-2.0
// The counters of one run, from which /status, /readyz and the metrics are told. Each stage writes its own; nobody else does.
// The sum that must hold: deaths that the loader counted = reported + screened + lost, once nothing is pending.
import type { Hello, LoaderStatus } from '../core/event.ts';

export interface ExportState {
  /** When the last export was accepted, ms since 1970; null: none yet. */
  lastSuccessMs: number | null;
  /** Why the last one failed; null: it did not. */
  lastError: string | null;
}

export interface Stats {
  readonly startedMs: number;
  /** Deaths read from the socket, second copies not counted. */
  received: number;
  /** Accepted by every exporter (or printed, where there is only the console). */
  reported: number;
  screened: number;
  duplicates: number;
  /** Lines that could not be read; of those, deaths. */
  badLines: number;
  badDeaths: number;
  /** Records that the collector refused for good. */
  rejected: number;
  /** Read but not yet delivered or screened. */
  pending: number;
  connected: boolean;
  hello: Hello | null;
  loader: LoaderStatus | null;
  /** Why the socket does not work at the moment. */
  socketError: string | null;
  readonly exports: { readonly logs: ExportState; readonly metrics: ExportState };
}

export function newStats(nowMs: number): Stats {
  return {
    startedMs: nowMs,
    received: 0,
    reported: 0,
    screened: 0,
    duplicates: 0,
    badLines: 0,
    badDeaths: 0,
    rejected: 0,
    pending: 0,
    connected: false,
    hello: null,
    loader: null,
    socketError: null,
    exports: { logs: { lastSuccessMs: null, lastError: null }, metrics: { lastSuccessMs: null, lastError: null } },
  };
}

export type LossStage = 'kernel' | 'loader' | 'queue' | 'export';

/** Deaths lost, by the stage that lost them. `memory_full` is not among them: it loses facts, not deaths. */
export function lostByStage(stats: Stats): Record<LossStage, number> {
  const lost = stats.loader?.lost;
  return {
    kernel: lost === undefined ? 0 : Number(lost.ring_full + lost.missed),
    loader: (lost === undefined ? 0 : Number(lost.undecodable)) + stats.badDeaths,
    queue: 0,
    export: stats.rejected,
  };
}
