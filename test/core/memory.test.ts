// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { RECENT_WINDOW_NS, Recent, Seen } from '../../src/core/memory.ts';

it('a second copy is known, until so many others came that it is forgotten', () => {
  const seen = new Seen(2);
  expect([seen.add('a'), seen.add('a'), seen.add('b'), seen.add('a'), seen.add('c'), seen.add('a')]).toEqual([
    true,
    false,
    true,
    false,
    true,
    true,
  ]);
});

it('ends of a service are counted for ten minutes, each service for itself', () => {
  const recent = new Recent();
  expect(recent.add('a', 0n)).toBe(1);
  expect(recent.add('a', RECENT_WINDOW_NS - 1n)).toBe(2);
  expect(recent.add('b', RECENT_WINDOW_NS - 1n)).toBe(1);
  expect(recent.add('a', RECENT_WINDOW_NS)).toBe(2);
});
