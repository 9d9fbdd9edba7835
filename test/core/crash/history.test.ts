// SPDX-License-Identifier: Apache-2.0
// How often, and since when, a place crashes.
import { describe, expect, it } from 'vitest';
import { CrashPlaces } from '../../../src/core/crash/history.ts';

const PLACE = '5b41362bc82b7f3d';

describe('the history of a place', () => {
  it('counts its crashes, and keeps the time of the first', () => {
    const places = new CrashPlaces();
    expect(places.add(PLACE, 'alice', 5n)).toEqual({ count: 1, firstNs: 5n });
    expect(places.add(PLACE, 'alice', 7n)).toEqual({ count: 2, firstNs: 5n });
    expect(places.add('another', 'alice', 9n)).toEqual({ count: 1, firstNs: 9n });
  });

  it('is another one for each origin', () => {
    const places = new CrashPlaces();
    places.add(PLACE, 'mallory', 5n);
    expect(places.add(PLACE, 'alice', 7n)).toEqual({ count: 1, firstNs: 7n });
  });

  it('is not forgotten because another origin crashes at many places', () => {
    const places = new CrashPlaces(10);
    places.add(PLACE, 'alice', 1n);
    for (let i = 0; i < 100; i += 1) places.add(String(i), 'mallory', 2n);
    expect(places.add(PLACE, 'alice', 3n)).toEqual({ count: 2, firstNs: 1n });
    expect(places.add('0', 'mallory', 3n)).toEqual({ count: 1, firstNs: 3n });
  });
});
