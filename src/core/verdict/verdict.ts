// SPDX-License-Identifier: Apache-2.0
// The opinion on one death, as a value. How it is formed is left to classify.ts, how it is told to record.ts and sentence.ts.

import type { CauseValue, OomScopeValue, SenderKindValue } from '../telemetry/semconv.ts';
import type { Actor, Fault, Signal } from '../wire/event.ts';

export type Cause = CauseValue;
export type SenderKind = SenderKindValue;
export type OomScope = OomScopeValue;

export interface Verdict {
  readonly cause: Cause;
  /** `error.type`: the signal's name, `oom_kill`, or the exit code. */
  readonly errorType: string;
  /** 0 where the process exited. */
  readonly signo: number;
  /** null where a signal ended it. */
  readonly exitCode: number | null;
  readonly coreDumped: boolean;
  /** The signal to report: the fatal one, or the handled request shortly before an exit. null: none is known. */
  readonly signal: Signal | null;
  readonly disposition: 'default' | 'handled' | null;
  /** null where there is no signal to report. */
  readonly senderKind: SenderKind | null;
  /** Set only where `senderKind` is `process`. */
  readonly sender: Actor | null;
  /** Set where the cause is `fault` or `seccomp` and the fault was seen. */
  readonly fault: Fault | null;
  readonly oomScope: OomScope | null;
  /** The thread that died first, where it is known. */
  readonly thread: { readonly tid: number; readonly name: string | null } | null;
  readonly evidence: readonly string[];
}
