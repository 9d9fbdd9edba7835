// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { hrTime, isoTime } from '../../src/core/time.ts';

describe('a time', () => {
  it('keeps all its nanoseconds', () => {
    expect(isoTime(1_795_443_000_000_000_007n)).toBe('2026-11-23T14:10:00.000000007Z');
    expect(hrTime(1_795_443_000_123_456_789n)).toEqual([1_795_443_000, 123_456_789]);
  });
});
