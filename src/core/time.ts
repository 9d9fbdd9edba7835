// SPDX-License-Identifier: Apache-2.0
// Converts nanoseconds (since 1970, or of a duration) to HrTime, ISO 8601 and seconds.

export const SECOND_NS = 1_000_000_000n;

/** Seconds and nanoseconds, as in the OpenTelemetry SDK. */
export function hrTime(ns: bigint): [number, number] {
  return [Number(ns / SECOND_NS), Number(ns % SECOND_NS)];
}

/** `2026-11-23T14:03:22.123456789Z`: nine digits, because many terminations share a millisecond. */
export function isoTime(ns: bigint): string {
  const [seconds, nanos] = hrTime(ns);
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanos).padStart(9, '0')}Z`;
}

export function seconds(ns: bigint): number {
  return Number(ns) / 1e9;
}
