// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { inTurns } from '../../bench/parts/part.ts';

it('conditions take turns, in an order that changes with each round', async () => {
  const order: string[] = [];
  await inTurns(['a', 'b', 'c'], 3, async (condition, round) => order.push(`${condition}${round}`));
  expect(order).toEqual(['a0', 'b0', 'c0', 'c1', 'b1', 'a1', 'a2', 'b2', 'c2']);
});
