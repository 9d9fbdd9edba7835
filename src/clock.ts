// SPDX-License-Identifier: Apache-2.0
// The clocks of the pipeline, as an argument.

export interface Clock {
  /** ms since 1970. */
  readonly wallMs: () => number;
  /** ms of a monotonic clock. */
  readonly steadyMs: () => number;
  readonly later: (work: () => void, ms: number) => void;
}

/** The current time in ns since 1970, but never before the event: the wall clock is in whole milliseconds. */
export function observedAt(eventNs: bigint, { wallMs }: Clock): bigint {
  const nowNs = BigInt(wallMs()) * 1_000_000n;
  return nowNs > eventNs ? nowNs : eventNs;
}

export const SYSTEM_CLOCK: Clock = { wallMs: Date.now, steadyMs: () => performance.now(), later: setTimeout };
