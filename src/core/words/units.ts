// SPDX-License-Identifier: Apache-2.0
// Durations and sizes as text for people.
import { SECOND_NS } from '../time.ts';

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
