// SPDX-License-Identifier: Apache-2.0
// A case, and what the record of each of its terminations must say beyond what the undertaker reports.
import type { Value } from '../../../scripts/stack/otlp-file.ts';

type Wanted = Readonly<Record<string, Value | RegExp | null>>;

export interface Expectation {
  readonly cause: string;
  /** null: the exit code that the parent received. It depends on the kernel. undefined: there was no error. */
  readonly errorType: string | null | undefined;
  /** undefined: no signal was involved. */
  readonly senderKind?: 'process' | 'self' | 'kernel' | 'unknown';
  /** The signal that the process handled shortly before it exited. */
  readonly handledSignal?: number;
  /** Further attributes of the record; null: must be absent. */
  readonly attributes?: Wanted;
  /** Further attributes of the resource; null: must be absent. */
  readonly resource?: Wanted;
  readonly body?: RegExp;
}

export interface Case {
  readonly name: string;
  /** The name of the case in the undertaker. */
  readonly id: string;
  /** One for each termination that the undertaker reports, in the same order. Empty: there must be no record. */
  readonly deaths: readonly Expectation[];
  /** The case exists only on this architecture (process.arch). */
  readonly arch?: 'x64';
  /** Why this machine cannot run the case. */
  readonly skip?: string | undefined;
}
