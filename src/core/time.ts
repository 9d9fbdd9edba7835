// SPDX-License-Identifier: Apache-2.0
// Converts nanoseconds (since 1970, or of a duration) to HrTime, ISO 8601, seconds and text; and bytes to text.

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

/** A duration for a person, at most two units: `240 µs`, `240 ms`, `1.2 s`, `3 min 12 s`, `3 h 12 min`, `2 d 3 h`. */
export function duration(ns: bigint): string {
  const value = ns < 0n ? 0n : ns;
  if (value < 1_000_000n) return `${value / 1000n} µs`;
  if (value < SECOND_NS) return `${value / 1_000_000n} ms`;
  const whole = value / SECOND_NS;
  if (whole < 60n) return `${whole}.${(value % SECOND_NS) / 100_000_000n} s`;
  if (whole < 3600n) return pair(whole / 60n, 'min', whole % 60n, 's');
  if (whole < 86_400n) return pair(whole / 3600n, 'h', (whole % 3600n) / 60n, 'min');
  return pair(whole / 86_400n, 'd', (whole % 86_400n) / 3600n, 'h');
}

function pair(large: bigint, largeUnit: string, small: bigint, smallUnit: string): string {
  return small === 0n ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** A size for a person: `512 B`, `32 MiB`, `1.5 GiB`. */
export function size(bytes: bigint | number): string {
  let value = Number(bytes);
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${shorten(value)} ${unit}`;
    value /= 1024;
  }
  return `${shorten(value)} TiB`;
}

function shorten(value: number): string {
  return Number.isInteger(value) || value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}
