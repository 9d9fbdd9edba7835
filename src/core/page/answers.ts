// SPDX-License-Identifier: Apache-2.0
// What `whodunit ui` answers to its page: the types of the JSON, one for each path. io/ui/ builds it, ui/ shows it.
// Text is as the process chose it: the page makes control characters visible.
import type { Kind } from '../history/entry.ts';
import type { Chain } from './chain.ts';
import type { MemoryUse } from './memory.ts';

/** A record as a row of the list. Times are ms since 1970. */
export interface Row {
  readonly id: string;
  readonly uid: string;
  readonly kind: Kind;
  readonly timeMs: number;
  readonly severity: string;
  readonly body: string;
  readonly name: string;
  readonly pid: number | null;
  readonly cause: string | null;
  /** The signal, or the exit code. */
  readonly how: string | null;
  readonly sender: string | null;
  readonly requester: string | null;
  /** Service, unit or container: the first that is known. */
  readonly where: string | null;
}

export interface ListAnswer {
  readonly rows: readonly Row[];
  /** What `before` must be for the next page. null: this is the last one. */
  readonly next: string | null;
}

export interface Field {
  readonly name: string;
  readonly value: string;
}

export interface DetailAnswer {
  readonly row: Row;
  /** ISO 8601, with nanoseconds. */
  readonly time: string;
  readonly summary: readonly Field[];
  readonly chain: Chain;
  readonly memory: readonly MemoryUse[];
  readonly evidence: readonly string[];
  readonly stack: readonly string[];
  readonly explanation: string | null;
  readonly delivery: string;
  /** The restart of this process, or the termination that this restart follows. */
  readonly related: readonly Row[];
  readonly incident: { readonly id: string; readonly members: readonly Row[]; readonly more: boolean } | null;
  readonly earlier: readonly Row[];
  readonly attributes: readonly Field[];
  readonly resource: readonly Field[];
}

export interface Count {
  readonly name: string;
  readonly count: number;
}

export interface Series {
  readonly cause: string;
  readonly counts: readonly number[];
}

export interface OverviewAnswer {
  readonly total: number;
  /** The bars: `stepMs` each, from `fromMs` on. */
  readonly fromMs: number;
  readonly stepMs: number;
  readonly series: readonly Series[];
  readonly killers: readonly Count[];
  readonly services: readonly Count[];
  readonly loops: readonly Loop[];
}

/** A program that terminates again and again: what its last record says. */
export interface Loop {
  readonly isOver: boolean;
  readonly row: Row;
}

/** `bad`: it needs the operator. */
export interface HealthLine {
  readonly level: 'ok' | 'bad';
  readonly text: string;
}

export interface HealthAnswer {
  readonly lines: readonly HealthLine[];
}

/** A server-sent event. */
export type LiveEvent =
  /** `newest` null: the history can be read again. */
  { readonly kind: 'records'; readonly newest: Row | null } | { readonly kind: 'error'; readonly message: string };

/** The body of an answer with a status of 400 or more. */
export interface ErrorAnswer {
  readonly error: string;
}
