// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  COUNTER_NAMES,
  COUNTERS,
  count,
  lostIn,
  noCounts,
  OUTCOMES,
  sumInWords,
  unaccounted,
} from '../../src/core/counters.ts';

describe('the counters', () => {
  it('form the sum that the documentation states', () => {
    const words =
      'received + summaries = reported + filtered + aggregated + pending + lost in the queue + lost in the export';
    expect(sumInWords()).toBe(words);
    const page = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');
    expect(page.replace(/\s+/g, ' ')).toContain(words);
  });

  it('include every outcome of the metrics except normal exits, which only the kernel counts', () => {
    expect(COUNTER_NAMES.filter((name) => COUNTERS[name].term === 'outcome').sort()).toEqual([...OUTCOMES].sort());
  });

  it.each(['pending', 'reported'] as const)(
    'count each item once on both sides of the sum, with records counted as %s',
    (record) => {
      const counters = noCounts();
      const bytes = new Uint8Array(1);
      count(counters, { record: bytes }, record);
      count(counters, { record: null }, record);
      count(counters, { kind: 'aggregated', record: null }, record);
      count(counters, { kind: 'summary', record: bytes }, record);
      expect(counters).toEqual({ ...noCounts(), received: 3, summaries: 1, filtered: 1, aggregated: 1, [record]: 2 });
      expect(unaccounted(counters)).toBe(0);
    },
  );

  it('assign each loss to its stage', () => {
    const counters = Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, 10 ** index]));
    expect(lostIn({ ...noCounts(), ...counters }, 'queue')).toBe(10 ** 6 + 10 ** 7 + 10 ** 8);
    expect(lostIn({ ...noCounts(), ...counters }, 'export')).toBe(10 ** 9);
  });
});
