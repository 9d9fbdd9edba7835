// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { duration, size } from '../../../src/core/words/units.ts';

it.each([
  [0n, '0 µs'],
  [240_000n, '240 µs'],
  [240_000_000n, '240 ms'],
  [999_999_999n, '999 ms'],
  [1_250_000_000n, '1.2 s'],
  [59_990_000_000n, '59.9 s'],
  [192_000_000_000n, '3 min 12 s'],
  [180_000_000_000n, '3 min'],
  [11_520_000_000_000n, '3 h 12 min'],
  [183_600_000_000_000n, '2 d 3 h'],
  [-5n, '0 µs'],
])('%s ns read as %s', (ns, text) => {
  expect(duration(ns)).toBe(text);
});

it.each([
  [512n, '512 B'],
  [33_554_432n, '32 MiB'],
  [1_610_612_736, '1.5 GiB'],
  [1536, '1.5 KiB'],
  [5_497_558_138_880n, '5 TiB'],
])('%s bytes read as %s', (bytes, text) => {
  expect(size(bytes)).toBe(text);
});
