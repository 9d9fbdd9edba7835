// SPDX-License-Identifier: Apache-2.0
// The opinion on one termination, with the facts that it rests on, as a value. Words and telemetry read it; forming it is left to
// classify.ts.
import type { CauseValue, OomScopeValue, SenderKindValue } from '../telemetry/semconv.ts';
import type { Actor, Fault, Oom, Signal } from '../wire/event.ts';

export type Cause = CauseValue;
export type SenderKind = SenderKindValue;
export type OomScope = OomScopeValue;

export interface Verdict {
  readonly cause: Cause;
  /** `error.type`: the signal's name, `oom_kill`, or the exit code. */
  readonly errorType: string;
  /** 0 where the process exited. */
  readonly signo: number;
  /** null where a signal terminated it. */
  readonly exitCode: number | null;
  readonly coreDumped: boolean;
  /** When it ended, ns since 1970. */
  readonly endedNs: bigint;
  /** From its start to its end. */
  readonly uptimeNs: bigint;
  /** The signal to report: the fatal one, or the handled request shortly before an exit. null: none is known. */
  readonly signal: Signal | null;
  /** From the signal to the end; null: there is no signal to report. */
  readonly signalToExitNs: bigint | null;
  readonly disposition: 'default' | 'handled' | null;
  /** null where there is no signal to report. */
  readonly senderKind: SenderKind | null;
  /** Set only where `senderKind` is `process`. */
  readonly sender: Actor | null;
  /** Set where the cause is `fault` or `seccomp` and the fault was seen. */
  readonly fault: Fault | null;
  /** The name of the system call that seccomp refused; null: another cause, or not known. */
  readonly refusedCall: string | null;
  /** null: another cause. */
  readonly oomScope: OomScope | null;
  /** What the out-of-memory killer saw; null: another cause, or not known. */
  readonly oom: Oom | null;
  /** The first thread that ended, where it is known. */
  readonly thread: { readonly tid: number; readonly name: string | null } | null;
  /** The facts that led to the cause, in words. */
  readonly evidence: readonly string[];
}
