// SPDX-License-Identifier: Apache-2.0
// The verdict on one termination, with the facts that it is based on, as a value. classify.ts builds it; words and telemetry read it.
import type { CauseValue, OomScopeValue, SenderKindValue } from '../telemetry/semconv.ts';
import type { Actor, Fault, Oom, Signal } from '../wire/event.ts';
import type { SshSession } from './ssh-session.ts';

export type Cause = CauseValue;
export type SenderKind = SenderKindValue;
export type OomScope = OomScopeValue;

/** The process whose act made the kernel send the signal, and the act. */
export type Trigger =
  | {
      readonly act: 'closed_terminal';
      readonly task: Actor;
      /** null: it is no SSH server. */
      readonly session: SshSession | null;
    }
  | { readonly act: 'session_ended' | 'parent_ended' | 'thread_ended' | 'asked_for_memory'; readonly task: Actor };

/** The stop of the process by a signal. */
export interface Stop {
  readonly signo: number;
  /** ns since 1970. */
  readonly sinceNs: bigint;
  /** Until its end or, if it was continued, until the signal that the verdict reports came. */
  readonly lastedNs: bigint;
  /** SIGCONT came after that signal; false: it was stopped at its end. */
  readonly continued: boolean;
  readonly senderKind: SenderKind;
  /** Set only if `senderKind` is `process`. */
  readonly sender: Actor | null;
  /** What made the kernel send it, as a clause. null: another origin, or not known. */
  readonly why: string | null;
}

export interface Verdict {
  readonly cause: Cause;
  /** `error.type`: the signal's name, `oom_kill`, or the exit code. null: no error. */
  readonly errorType: string | null;
  /** 0: the process exited. */
  readonly signo: number;
  /** null: a signal terminated the process. */
  readonly exitCode: number | null;
  readonly coreDumped: boolean;
  /** Time of the termination, ns since 1970. */
  readonly endedNs: bigint;
  /** From the start of the process to its termination. */
  readonly uptimeNs: bigint;
  /** The signal to report: the fatal one, or a request handled shortly before the exit. null: none is known. */
  readonly signal: Signal | null;
  /** From the signal to the termination. null: there is no signal to report. */
  readonly signalToExitNs: bigint | null;
  readonly disposition: 'default' | 'handled' | null;
  /** null: there is no signal to report. */
  readonly senderKind: SenderKind | null;
  /** Set only if `senderKind` is `process`. */
  readonly sender: Actor | null;
  /** null: none, or not known. */
  readonly trigger: Trigger | null;
  /** null: it was not stopped, or that explains nothing. */
  readonly stop: Stop | null;
  /** Set only if the cause is `fault` or `seccomp` and the fault was recorded. */
  readonly fault: Fault | null;
  /** The system call that seccomp refused. null: another cause, or not known. */
  readonly refusedCall: string | null;
  /** null: another cause. */
  readonly oomScope: OomScope | null;
  /** All processes of the cgroup are killed (memory.oom.group). null: another cause, or not known. */
  readonly oomGroup: boolean | null;
  /** Sizes and limit recorded by the out-of-memory killer. null: another cause, or not known. */
  readonly oom: Oom | null;
  /** The thread that triggered the termination. null: not known, or all were killed at once. */
  readonly thread: { readonly tid: number; readonly name: string | null } | null;
  /** A tracer was attached: it can give the process a signal that no probe sees. */
  readonly traced: boolean;
  /** The facts that led to the cause, as text. */
  readonly evidence: readonly string[];
}
