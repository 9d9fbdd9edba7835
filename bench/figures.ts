// SPDX-License-Identifier: Apache-2.0
// Pure: the results of a benchmark run, as stored in bench/results/*.json.
import type { Estimate, Point } from './statistics.ts';

export const PARTS = [
  'kernel',
  'commits',
  'crashes',
  'workload',
  'builds',
  'latency',
  'storm',
  'idle',
  'growth',
  'peers',
  'profile',
] as const;
/** Parts that a complete run leaves out: beside the service of another commit, a fleet before Kafka and Loki, which has a page of its own, and without BTF. */
export const OTHER_PARTS = ['services', 'starts', 'scale', 'observed'] as const;
export type PartName = (typeof PARTS)[number] | (typeof OTHER_PARTS)[number];
export const ALL_PARTS: readonly PartName[] = [...PARTS, ...OTHER_PARTS];

export type Unit = 'ns' | 'µs' | 'ms' | 's' | 'ratio' | '%' | 'B' | 'MB' | 'GB' | '/s' | 'count';

/** One number. The id begins with the name of the part. */
export interface Figure {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** null: could not be measured; `note` has the reason. */
  readonly value: number | null;
  readonly low?: number;
  readonly high?: number;
  readonly samples?: number;
  readonly note?: string;
}

/** One cost at several sizes. */
export interface Growth {
  readonly id: string;
  /** What is measured. */
  readonly title: string;
  /** What the size counts. */
  readonly of: string;
  readonly unit: Unit;
  readonly points: readonly Point[];
  /** The largest acceptable exponent (growthExponent()): near 0 for a cost that must not depend on the size, 1 for a proportional one. */
  readonly exponentMax: number;
}

export interface PartResult {
  readonly part: PartName;
  /** That was measured, if it is not that of the results (--again). */
  readonly commit?: string;
  /** ISO 8601. */
  readonly began: string;
  readonly seconds: number;
  /** Load of the processors in the second before the part: other load makes every figure worse. */
  readonly backgroundPercent: number;
  /** Share of processor time that other virtual machines of the host used during the part. */
  readonly stealPercent: number;
  readonly figures: readonly Figure[];
  readonly growth: readonly Growth[];
}

export interface Machine {
  readonly processor: string;
  readonly processors: number;
  readonly memoryMB: number;
  readonly kernel: string;
  readonly distribution: string;
  /** By name: whodunit, Node.js, Go and the compared tools. */
  readonly versions: Readonly<Record<string, string>>;
}

export interface Results {
  readonly quick: boolean;
  /** The commit that was measured; `-dirty`: with changes. */
  readonly commit: string;
  readonly machine: Machine;
  readonly parts: readonly PartResult[];
}

export function figure(
  id: string,
  title: string,
  unit: Unit,
  measured: number | Estimate | null,
  note?: string,
): Figure {
  const numbers = typeof measured === 'number' || measured === null ? { value: measured } : measured;
  return { id, title, unit, ...numbers, ...(note === undefined ? {} : { note }) };
}
