// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { RECENT_WINDOW_NS, Recent, Seen } from '../../../src/core/filter/memory.ts';

it('a duplicate is recognized until at least `limit` other members were added', () => {
  const seen = new Seen(2);
  const added = (...members: string[]) => members.map((member) => seen.add(member));
  expect(added('a', 'a', 'b', 'a', 'c', 'a', 'b')).toEqual([true, false, true, false, true, false, false]);
  expect(added('d', 'c', 'd', 'a')).toEqual([true, false, false, true]);
});

it('members of the previous run are recognized', () => {
  const seen = new Seen(2, ['a', 'b']);
  expect([seen.add('a'), seen.add('c'), seen.add('b')]).toEqual([false, true, false]);
});

it('terminations are counted for ten minutes, for each service separately', () => {
  const recent = new Recent();
  expect(recent.add('a', 0n)).toBe(1);
  expect(recent.add('a', RECENT_WINDOW_NS - 1n)).toBe(2);
  expect(recent.add('b', RECENT_WINDOW_NS - 1n)).toBe(1);
  expect(recent.add('a', RECENT_WINDOW_NS)).toBe(2);
});
