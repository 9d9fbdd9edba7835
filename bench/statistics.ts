// SPDX-License-Identifier: Apache-2.0
// Pure: estimates from many measurements. Medians, because a disturbance only ever makes a measurement longer.

/** Resamples of the bootstrap: more move the interval's ends by less than what is printed. */
const RESAMPLES = 2_000;
/** Always the same, so that the same measurements give the same interval. */
const SEED = 0x5eed;
const CONFIDENCE = 0.95;

/** A cost at one size. */
export interface Point {
  readonly size: number;
  readonly value: number;
}

export interface Estimate {
  readonly value: number;
  /** The interval that holds the true median with 95 % confidence, as far as the samples are independent. */
  readonly low: number;
  readonly high: number;
  readonly samples: number;
}

/** The smallest sample that at least `fraction` of all samples do not exceed (nearest rank). Throws where there is none. */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)];
  if (found === undefined) throw new RangeError('a quantile of no samples');
  return found;
}

/** The middle one, or the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const below = sorted[Math.ceil(sorted.length / 2) - 1];
  const above = sorted[Math.floor(sorted.length / 2)];
  if (below === undefined || above === undefined) throw new RangeError('a median of no samples');
  return (below + above) / 2;
}

/** null where there are too few samples for that quantile to be one of several: p99 of 50 samples is their maximum. */
export function quantileIfKnown(samples: readonly number[], fraction: number): number | null {
  return samples.length * (1 - fraction) < 1 - 1e-9 ? null : quantile(samples, fraction);
}

/** The median and, by bootstrap (percentiles of the medians of resamples), how far it can be trusted. */
export function estimate(samples: readonly number[]): Estimate {
  const random = generator(SEED);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(samples.map(() => samples[Math.floor(random() * samples.length)] ?? Number.NaN)),
  );
  const tail = (1 - CONFIDENCE) / 2;
  return {
    value: median(samples),
    low: quantile(medians, tail),
    high: quantile(medians, 1 - tail),
    samples: samples.length,
  };
}

/** Mulberry32: 32 bits of state are enough to shuffle with. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * How the cost grows: the exponent b of value ~ size^b between the first and the last point. 0: constant, 1: linear. Points are
 * of rising size.
 */
export function growthExponent(points: readonly Point[]): number {
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined || first.size === last.size)
    throw new RangeError('a growth of one size');
  return Math.log(last.value / first.value) / Math.log(last.size / first.size);
}
