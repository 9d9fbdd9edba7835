// SPDX-License-Identifier: Apache-2.0
// What the metrics report of other stages. Read whenever metrics are collected; the stages count, the metrics only look. The counters by
// outcome may be older than this process: the metrics report the increase.
import type { Outcome } from '../../core/counters.ts';
import { lostByStage, type ServiceSnapshot } from '../../core/status.ts';
import type { StageValue } from '../../core/telemetry/semconv.ts';

export interface Observed extends Readonly<Record<Outcome, number>> {
  /** Exits that never left the kernel; null: the loader has not reported them yet. */
  readonly normalExits: number | null;
  readonly lost: Readonly<Record<StageValue, number>>;
  /** null: there is no queue. */
  readonly queue: ObservedQueue | null;
}

export interface ObservedQueue {
  readonly records: number;
  readonly bytes: number;
  /** When the process of the oldest waiting record terminated, ms since 1970; null: none waits. */
  readonly oldestMs: number | null;
}

export function observedOf(snapshot: ServiceSnapshot): Observed {
  const { counters, loader, queue } = snapshot;
  const { reported, filtered, aggregated, pending } = counters;
  return {
    reported,
    filtered,
    aggregated,
    normalExits: loader.status === null ? null : Number(loader.status.exits_normal),
    lost: lostByStage(snapshot),
    queue: queue && { records: pending, bytes: queue.bytes, oldestMs: queue.oldestMs },
  };
}
