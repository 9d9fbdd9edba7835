// SPDX-License-Identifier: Apache-2.0
// What a case is, and what the record of each of its deaths must say beyond what the undertaker itself knows.
import type { Value } from '../../../scripts/stack/otlp-file.ts';

type Wanted = Readonly<Record<string, Value | RegExp | null>>;

export interface Expectation {
  readonly cause: string;
  /** null: the exit code that the parent received; which one it is depends on the kernel. */
  readonly errorType: string | null;
  /** undefined: no signal had a part in it. */
  readonly senderKind?: 'process' | 'self' | 'kernel' | 'unknown';
  /** The signal that was handled shortly before it ended by itself. */
  readonly handledSignal?: number;
  /** Further attributes; null: must not be there. */
  readonly attributes?: Wanted;
  /** The same of the resource. */
  readonly resource?: Wanted;
  readonly body?: RegExp;
}

export interface Case {
  readonly name: string;
  readonly id: string;
  /** One for each termination that the undertaker reports, in its order. Empty: there must be no record. */
  readonly deaths: readonly Expectation[];
  /** Happens on this architecture alone, by Node's name of it. */
  readonly arch?: 'x64';
  /** Not on this machine, and why. */
  readonly skip?: string | undefined;
}
