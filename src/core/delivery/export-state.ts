// SPDX-License-Identifier: Apache-2.0
// The state of the export of one signal (logs, metrics or traces). Each exporter keeps its own and returns snapshots, for /status and
// the doctor.
import type { Failure } from './outcome.ts';
import type { Suspect } from './plan.ts';
import type { Target } from './target.ts';

export interface ExportState {
  readonly target: Target;
  /** Time of the last accepted export, ms since 1970. null: none yet. */
  readonly lastSuccessMs: number | null;
  /** Why the last export failed. null: it succeeded, or there was none. */
  readonly lastFailure: Failure | null;
  /** Time of the next attempt, ms since 1970. null: no batch waits for one. */
  readonly nextAttemptMs: number | null;
  /** Log records, data points or spans that the target rejected, since the service started. They are lost. */
  readonly rejected: number;
}

export interface LogsState extends ExportState {
  /** Records that the target did not accept in a request of their own; they wait on disk. */
  readonly suspects: readonly WaitingRecord[];
}

export interface WaitingRecord extends Omit<Suspect<unknown>, 'row'> {
  readonly record: Uint8Array;
}

export interface TracesState extends ExportState {
  /** Lost spans: rejected, not delivered, or dropped because too many waited. */
  readonly dropped: number;
}

/** The metrics that Prometheus scrapes. */
export interface PageState extends Pick<MetricsState, 'overflows'> {
  readonly address: { readonly host: string; readonly port: number };
  /** Time of the last request, ms since 1970. null: none yet. */
  readonly lastMs: number | null;
}

export interface MetricsState extends ExportState {
  /** Terminations counted in the shared overflow series: too many services, or too many series in one service. */
  readonly overflows: number;
}
