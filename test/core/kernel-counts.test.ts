// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { increase, type KernelCounts, NOTHING_EXPORTED } from '../../src/core/kernel-counts.ts';

const NOW: KernelCounts = { boot: 'b', normalExits: 10, kernel: 5, loader: 2 };

it.each<[string, KernelCounts, KernelCounts]>([
  ['nothing before: all', NOTHING_EXPORTED, NOW],
  [
    'the same boot: the difference',
    { ...NOW, normalExits: 4, kernel: 5 },
    { boot: 'b', normalExits: 6, kernel: 0, loader: 0 },
  ],
  ['another boot: all', { ...NOW, boot: 'a' }, NOW],
  [
    'smaller than before: it began again',
    { ...NOW, normalExits: 11, kernel: 4 },
    { boot: 'b', normalExits: 10, kernel: 1, loader: 0 },
  ],
])('%s', (_, before, expected) => {
  expect(increase(NOW, before)).toEqual(expected);
});
