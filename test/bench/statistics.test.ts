// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimate, estimateRatio, growthExponent, median, quantile, quantileIfKnown } from '../../bench/statistics.ts';

const samples = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 60 });

describe('statistics', () => {
  it('the median is the middle value, or the mean of the two in the middle, in any order', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
  });

  it('a ratio is the median of the ratios of each round, not of the sums', () => {
    expect(estimateRatio([2, 20, 200], [1, 10, 50])).toMatchObject({ value: 2, samples: 3 });
    expect(() => estimateRatio([1, 2], [1])).toThrow(RangeError);
  });

  it('a quantile is a sample that was measured (nearest rank)', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(quantile(hundred, 0.5)).toBe(50);
    expect(quantile(hundred, 0.99)).toBe(99);
    expect(quantile(hundred, 1)).toBe(100);
    expect(quantile([5], 0.001)).toBe(5);
  });

  it('no samples have no median and no quantile', () => {
    expect(() => median([])).toThrow(RangeError);
    expect(() => quantile([], 0.5)).toThrow(RangeError);
  });

  it('p99.9 needs at least 1,000 samples', () => {
    const known = (count: number) => quantileIfKnown(Array(count).fill(1), 0.999) !== null;
    expect(known(999)).toBe(false);
    expect(known(1_000)).toBe(true);
    expect(quantileIfKnown(Array(100).fill(1), 0.99)).toBe(1);
    expect(quantileIfKnown(Array(99).fill(1), 0.99)).toBeNull();
  });

  it('the interval contains the median, lies within the samples, and is reproducible', () => {
    fc.assert(
      fc.property(samples, (values) => {
        const first = estimate(values);
        expect(first).toEqual(estimate(values));
        expect(first.value).toBe(median(values));
        expect(first.low).toBeLessThanOrEqual(first.value);
        expect(first.high).toBeGreaterThanOrEqual(first.value);
        expect(first.low).toBeGreaterThanOrEqual(Math.min(...values));
        expect(first.high).toBeLessThanOrEqual(Math.max(...values));
      }),
      { numRuns: 30 },
    );
  });

  it('the interval is narrow where the samples agree and wide where they do not', () => {
    const width = ({ low, high }: { low: number; high: number }) => high - low;
    const agreeing = Array.from({ length: 20 }, (_, index) => 100 + (index % 3));
    const scattered = Array.from({ length: 20 }, (_, index) => 100 + (index % 3) * 50);
    expect(width(estimate(agreeing))).toBeLessThan(width(estimate(scattered)));
    expect(width(estimate(Array(20).fill(5)))).toBe(0);
  });

  it('constant, linear and quadratic costs have the exponents 0, 1 and 2', () => {
    const of = (cost: (size: number) => number) => [10, 100, 1_000].map((size) => ({ size, value: cost(size) }));
    expect(growthExponent(of(() => 7))).toBeCloseTo(0);
    expect(growthExponent(of((size) => 3 * size))).toBeCloseTo(1);
    expect(growthExponent(of((size) => size * size))).toBeCloseTo(2);
    expect(() => growthExponent([{ size: 1, value: 1 }])).toThrow(RangeError);
  });
});
