// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { parseMeminfo } from '../../src/core/identity/memory.ts';
import { memoryReader } from '../../src/io/memory.ts';

it('parses /proc/meminfo', () => {
  const text =
    'MemTotal:        8159448 kB\nMemFree:  1 kB\nMemAvailable:    404612 kB\nSwapTotal:  2 kB\nSwapFree: 0 kB\n';
  expect(parseMeminfo(text)).toEqual({ total: 8_355_274_752, available: 414_322_688, swapTotal: 2048, swapFree: 0 });
  expect(parseMeminfo('MemTotal: 1 kB\n')).toBeNull();
});

it('returns what was read shortly before, and nothing else', () => {
  const before = memoryReader();
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  expect(before(nowNs + 1_000_000_000n)?.total).toBeGreaterThan(0);
  expect(before(nowNs - 60_000_000_000n)).toBeNull();
  expect(before(nowNs + 60_000_000_000n)).toBeNull();
  expect(memoryReader('/no/such/file')(nowNs)).toBeNull();
});
