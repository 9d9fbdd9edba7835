// SPDX-License-Identifier: Apache-2.0
// How the export of one signal (logs, metrics or traces) goes. Each exporter keeps its own and hands out snapshots; /status and the
// doctor are made of them.
import type { Failure } from './outcome.ts';
import type { Target } from './target.ts';

export interface ExportState {
  readonly target: Target;
  /** When the last export was accepted, ms since 1970; null: none yet. */
  readonly lastSuccessMs: number | null;
  /** Why the last export failed; null: it did not. */
  readonly lastFailure: Failure | null;
  /** When the next attempt of a batch follows, ms since 1970; null: no batch waits for one. */
  readonly nextAttemptMs: number | null;
  /** Log records, data points or spans that the target rejected, since the service started. They are lost. */
  readonly rejected: number;
}

export interface TracesState extends ExportState {
  /** Spans that were lost, those rejected included: others could not be delivered, or too many waited. */
  readonly dropped: number;
}

export interface MetricsState extends ExportState {
  /** Terminations counted under a shared series, because there were too many services or too many series in one. */
  readonly overflows: number;
}
