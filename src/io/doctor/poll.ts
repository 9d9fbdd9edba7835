// SPDX-License-Identifier: Apache-2.0
// Waits of the doctor: for a state that is polled, and for an export that may never finish.
import { setTimeout as sleep } from 'node:timers/promises';

export const POLL_MS = 20;
/** The exporters retry until their own timeout; the doctor does not wait for it. */
export const EXPORT_TIMEOUT_MS = 15_000;

/** Polls until `probe` returns something; null: not in time. */
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

/** The result of an export; null: none within EXPORT_TIMEOUT_MS. */
export async function inTime<T>(exported: Promise<T>): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), EXPORT_TIMEOUT_MS);
  const outcome = await Promise.race([exported, late]);
  clearTimeout(timer);
  return outcome;
}
