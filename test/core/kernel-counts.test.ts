// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { increase, type KernelCounts, NOTHING_EXPORTED } from '../../src/core/kernel-counts.ts';

const NOW: KernelCounts = { boot: 'b', normalExits: 10, kernel: 5, loader: 2, facts: 9 };

it.each<[string, KernelCounts, KernelCounts]>([
  ['nothing before: all', NOTHING_EXPORTED, NOW],
  [
    'the same boot: the difference',
    { ...NOW, normalExits: 4, kernel: 5, facts: 8 },
    { boot: 'b', normalExits: 6, kernel: 0, loader: 0, facts: 1 },
  ],
  ['another boot: all', { ...NOW, boot: 'a' }, NOW],
  [
    'smaller than before: it began again',
    { ...NOW, normalExits: 11, kernel: 4 },
    { boot: 'b', normalExits: 10, kernel: 1, loader: 0, facts: 0 },
  ],
  [
    'a release that did not export facts: all of them',
    { boot: 'b', normalExits: 10, kernel: 5, loader: 2 },
    { boot: 'b', normalExits: 0, kernel: 0, loader: 0, facts: 9 },
  ],
])('%s', (_, before, expected) => {
  expect(increase(NOW, before)).toEqual(expected);
});
