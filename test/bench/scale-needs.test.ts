// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type Figure, figure } from '../../bench/figures.ts';
import { needsFigures } from '../../bench/parts/scale-needs.ts';

const MEASURED: readonly Figure[] = [
  figure('scale.alone.gzip.gateway', '', 's', 0.6),
  figure('scale.alone.gzip.behind', '', 's', 0.3),
  figure('scale.alone.gzip.kafka_bytes', '', 'B', 1_000),
  figure('scale.metrics.gateway.gzip', '', 's', 1.2),
  figure('scale.metrics.wire.gzip', '', 'B', 2_000),
  figure('scale.wire.alone.gzip', '', 'B', 1_500),
  figure('scale.backlog.rate', '', '/s', 2_000),
  ...['usual', 'bad'].flatMap((day) => [
    figure(`scale.loki.${day}`, '', 'B', 500),
    figure(`scale.loki.${day}.received`, '', 'B', 4_000),
    figure(`scale.loki.${day}.cpu`, '', 's', 0.1),
  ]),
];

const needs = (id: string): number | null | undefined =>
  needsFigures(MEASURED).find((one) => one.id === `scale.needs.${id}`)?.value;

describe('what 10,000 hosts need', () => {
  it('are 28 records in a second if each host has 10 in an hour', () => {
    expect(needs('usual.rate')).toBeCloseTo(27.78, 2);
    expect(needs('usual.loki_day')).toBeCloseTo(1.2, 3);
  });

  it('are processors for the records and for the metrics of each minute', () => {
    expect(needs('usual.gateway')).toBeCloseTo((27.78 * 0.6 + 166.67 * 1.2) / 10, 1);
    expect(needs('bad.gateway')).toBeCloseTo((1_666.7 * 0.6 + 166.67 * 1.2) / 10, 1);
  });

  it('is never a single gateway', () => expect(needs('usual.gateways')).toBe(2));

  it('are gateways that are half busy, and a partition for each', () => {
    expect(needs('bad.gateways')).toBe(3);
    expect(needs('bad.partitions')).toBe(3);
  });

  it('are more partitions if one does not take the records twice as fast as they come', () => {
    const slow = MEASURED.map((one) => (one.id === 'scale.backlog.rate' ? { ...one, value: 500 } : one));
    expect(needsFigures(slow).find(({ id }) => id === 'scale.needs.bad.partitions')?.value).toBe(7);
  });

  it('are not computed from figures that were not measured', () => {
    const lacking = MEASURED.filter(({ id }) => id !== 'scale.loki.usual');
    expect(() => needsFigures(lacking)).toThrow(/scale\.loki\.usual/);
  });
});
