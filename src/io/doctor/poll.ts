// SPDX-License-Identifier: Apache-2.0
// The doctor's waits: polling for a state, and an export with a time limit.
import { setTimeout as sleep } from 'node:timers/promises';

export const POLL_MS = 20;
/** The exporters have a timeout of their own, which may be longer. */
export const EXPORT_TIMEOUT_MS = 15_000;

/** Polls until `probe` returns neither undefined nor false. Returns null if that takes longer than `ms`. */
export async function within<T>(
  ms: number,
  probe: () => T | undefined | Promise<T | undefined>,
): Promise<Exclude<T, false> | null> {
  for (const end = performance.now() + ms; ; await sleep(POLL_MS)) {
    const found = await probe();
    if (found !== undefined && found !== false) return found as Exclude<T, false>;
    if (performance.now() > end) return null;
  }
}

/** Returns the result of an export, or null if there is none within EXPORT_TIMEOUT_MS. */
export async function inTime<T>(exported: Promise<T>): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), EXPORT_TIMEOUT_MS);
  const outcome = await Promise.race([exported, late]);
  clearTimeout(timer);
  return outcome;
}
