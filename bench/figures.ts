// SPDX-License-Identifier: Apache-2.0
// Pure: what a run of the benchmark measured, as it is stored in bench/results/*.json.
import type { Estimate, Point } from './statistics.ts';

export const PARTS = ['kernel', 'workload', 'latency', 'storm', 'idle', 'growth', 'peers', 'profile'] as const;
export type PartName = (typeof PARTS)[number];

export type Unit = 'ns' | 'µs' | 'ms' | 's' | 'ratio' | '%' | 'MB' | '/s' | 'count';

/** One number. Its id begins with its part's name. */
export interface Figure {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** null: could not be measured, and `note` says why. */
  readonly value: number | null;
  readonly low?: number;
  readonly high?: number;
  readonly samples?: number;
  readonly note?: string;
}

/** One cost at several sizes of something. */
export interface Growth {
  readonly id: string;
  /** What is measured. */
  readonly title: string;
  /** The thing whose number grows. */
  readonly of: string;
  readonly unit: Unit;
  readonly points: readonly Point[];
  /** The largest acceptable exponent (statistics.ts): near 0 for what must not depend on the size, 1 for what handles each. */
  readonly exponentMax: number;
}

export interface PartResult {
  readonly part: PartName;
  /** ISO 8601. */
  readonly began: string;
  readonly seconds: number;
  /** How busy the processors were in the second before: other load makes every figure worse. */
  readonly backgroundPercent: number;
  /** How much of the processors' time other virtual machines of the host took during the part. */
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
  /** By name: whodunit, node, go, and what it was compared with. */
  readonly versions: Readonly<Record<string, string>>;
}

export interface Results {
  readonly quick: boolean;
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
