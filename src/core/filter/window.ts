// SPDX-License-Identifier: Apache-2.0
// The time of an act, by the signals that one key has in common: which terminations belong to it. Times are CLOCK_BOOTTIME.
import { SECOND_NS } from '../time.ts';
import type { Termination } from './act.ts';

/** Signals of one sender in one scope belong to one act within this time of the first. */
export const ACT_NS = SECOND_NS;

export interface Window {
  readonly id: string;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  /** When the sender killed what did not follow its request. null: it did not. */
  readonly killNs: bigint | null;
}

/** `known`: of the same key. A window of another incident begins anew. */
export function extended(known: Window | undefined, id: string, { actNs, killNs }: Termination): Window {
  if (known?.id !== id) return { id, firstNs: actNs, lastNs: actNs, killNs };
  return { ...known, lastNs: actNs > known.lastNs ? actNs : known.lastNs, killNs: known.killNs ?? killNs };
}

/** A process that never had the request, and is killed with one that did not follow it, belongs to the same act. */
export function includes(window: Window, { actNs, killNs, oneCall }: Termination): boolean {
  const untilNs = (oneCall ? window.lastNs : window.firstNs) + ACT_NS;
  const isIn = (ns: bigint) => ns >= window.firstNs - ACT_NS && ns <= untilNs;
  if (isIn(actNs) || (killNs !== null && isIn(killNs))) return true;
  return window.killNs !== null && distance(killNs ?? actNs, window.killNs) <= ACT_NS;
}

function distance(a: bigint, b: bigint): bigint {
  return a > b ? a - b : b - a;
}
