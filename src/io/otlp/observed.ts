// SPDX-License-Identifier: Apache-2.0
// What the metrics report of other stages. Read whenever metrics are collected; the stages count, the metrics only look.
import type { StageValue } from '../../core/telemetry/semconv.ts';

export interface Observed {
  /** Exits that never left the kernel; null: the loader has not reported them yet. */
  readonly normalExits: number | null;
  /** Terminations by what became of them. They may be older than this process: the metrics report the increase. */
  readonly reported: number;
  readonly filtered: number;
  readonly aggregated: number;
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
