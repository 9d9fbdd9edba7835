// SPDX-License-Identifier: Apache-2.0
// Pure: estimates from many measurements. Uses medians, because a disturbance can only make a measurement longer.

/** Resamples of the bootstrap: with more, the ends of the interval change by less than the printed precision. */
const RESAMPLES = 2_000;
/** Fixed, so that the same measurements yield the same interval. */
const SEED = 0x5eed;
const CONFIDENCE = 0.95;

/** A cost at one size. */
export interface Point {
  readonly size: number;
  readonly value: number;
}

export interface Estimate {
  readonly value: number;
  /** The ends of the 95 % confidence interval of the median, assuming independent samples. */
  readonly low: number;
  readonly high: number;
  readonly samples: number;
}

/** The smallest sample that at least `fraction` of all samples do not exceed (nearest rank). Throws if there are no samples. */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)];
  if (found === undefined) throw new RangeError('a quantile of no samples');
  return found;
}

/** The middle sample, or the mean of the two middle samples. Throws if there are no samples. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const below = sorted[Math.ceil(sorted.length / 2) - 1];
  const above = sorted[Math.floor(sorted.length / 2)];
  if (below === undefined || above === undefined) throw new RangeError('a median of no samples');
  return (below + above) / 2;
}

/** Returns null if there are too few samples for that quantile: p99 of 50 samples would be their maximum. */
export function quantileIfKnown(samples: readonly number[], fraction: number): number | null {
  return samples.length * (1 - fraction) < 1 - 1e-9 ? null : quantile(samples, fraction);
}

/** The median and its confidence interval by bootstrap (percentiles of the medians of resamples). */
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

/** As estimate(), of the ratios of two measurements of the same round. */
export function estimateRatio(numerators: readonly number[], denominators: readonly number[]): Estimate {
  if (numerators.length !== denominators.length) throw new RangeError('a ratio of different numbers of rounds');
  return estimate(numerators.map((value, round) => value / (denominators[round] ?? Number.NaN)));
}

/** Mulberry32: 32 bits of state are enough for resampling. */
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
 * Returns the exponent b of value ~ size^b between the first and the last point. 0: constant, 1: linear. The points must be in order of
 * size.
 */
export function growthExponent(points: readonly Point[]): number {
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined || first.size === last.size)
    throw new RangeError('a growth of one size');
  return Math.log(last.value / first.value) / Math.log(last.size / first.size);
}
