// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { Last, RECENT_WINDOW_NS, Recent, Seen } from '../../../src/core/filter/memory.ts';

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
  expect(recent.add('a', 'x', 0n)).toBe(1);
  expect(recent.add('a', 'x', RECENT_WINDOW_NS - 1n)).toBe(2);
  expect(recent.add('b', 'x', RECENT_WINDOW_NS - 1n)).toBe(1);
  expect(recent.add('a', 'x', RECENT_WINDOW_NS)).toBe(2);
});

describe('2,000 services of one origin', () => {
  it('make no count of another start again', () => {
    const recent = new Recent();
    recent.add('checkout', 'alice', 0n);
    for (let i = 0; i < 2_000; i += 1) recent.add(`${i}`, 'mallory', 1n);
    expect(recent.add('checkout', 'alice', 2n)).toBe(2);
    expect([...recent.forgotten]).toEqual([['mallory', 2_000 - 1_023]]);
  });

  it('are not counted as forgotten if their ten minutes were over', () => {
    const recent = new Recent();
    for (let i = 0; i < 2_000; i += 1) recent.add(`${i}`, 'mallory', BigInt(i) * RECENT_WINDOW_NS);
    expect([...recent.forgotten]).toEqual([]);
  });
});

it('the latest members are those of each origin', () => {
  const latest = new Last<string>(4);
  latest.add('a1', 'alice');
  for (const member of ['m1', 'm2', 'm3', 'm4']) latest.add(member, 'mallory');
  expect(latest.members()).toEqual(['a1', 'm2', 'm3', 'm4']);
  latest.add('a2', 'alice');
  latest.add('a3', 'alice');
  expect(latest.members()).toEqual(['m3', 'm4', 'a2', 'a3']);
});
