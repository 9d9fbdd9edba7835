// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BARS, judge, judgeGrowth } from '../../bench/bars.ts';
import { ALL_PARTS, type Figure, figure, type Growth, type Results } from '../../bench/figures.ts';
import { barsOfACompleteRun, fill, number, renderResults, table } from '../../bench/render.ts';
import { ROOT } from '../../scripts/stack/program.ts';

const EXIT = 'kernel.exit_normal.ratio';

function results(figures: readonly Figure[], growth: readonly Growth[] = []): Results {
  const part = { part: 'kernel', began: '2026-11-25T10:00:00.000Z', seconds: 60, backgroundPercent: 3 } as const;
  return {
    quick: false,
    commit: '0123abc',
    machine: {
      processor: 'a processor',
      processors: 2,
      memoryMB: 1_024,
      kernel: '6.18.0',
      distribution: 'Debian',
      versions: { whodunit: '0.1.0' },
    },
    parts: [{ ...part, stealPercent: 0, figures, growth }],
  };
}

const growing = (values: readonly number[], exponentMax: number): Growth => ({
  id: 'growth.processes.exit',
  title: 'an exit',
  of: 'processes',
  unit: 'ns',
  points: values.map((value, index) => ({ size: 10 ** (index + 1), value })),
  exponentMax,
});

it('says which parts were measured again, and of which commit', () => {
  const { parts, ...others } = results([]);
  const again = { ...others, parts: parts.map((part) => ({ ...part, commit: '4567def' })) };
  expect(renderResults(again)).toMatch(/\| commit of the parts that were measured again\s*\| kernel 4567def\s*\|/);
  expect(renderResults(results([]))).not.toContain('again');
});

describe('the comparison with bars', () => {
  it.each([
    ['below its bar', 1.99, 'met'],
    ['on its bar', 2, 'met'],
    ['above its bar', 2.01, 'not met'],
    ['not known', null, 'not known'],
    ['not a number', Number.NaN, 'not known'],
  ])('a figure %s', (_, value, verdict) => expect(judge({ id: EXIT, value })).toBe(verdict));

  it('a rate must be at least as high as its bar', () => {
    expect(judge({ id: 'storm.exit.share', value: 0.6 })).toBe('met');
    expect(judge({ id: 'storm.exit.share', value: 0.59 })).toBe('not met');
  });

  it('a figure without a bar has no verdict', () => expect(judge({ id: 'kernel.floor_exit', value: 1 })).toBeNull());

  it('every bar belongs to a part', () => {
    const parts = Object.keys(BARS).map((id) => id.split('.')[0]);
    expect(ALL_PARTS.filter((name) => parts.includes(name))).toHaveLength(new Set(parts).size);
  });

  it('the limit of a bar is another figure of the same part', () => {
    for (const [id, { limit = `${id}.limit` }] of Object.entries(BARS)) {
      expect(limit).not.toBe(id);
      expect(limit.split('.')[0]).toBe(id.split('.')[0]);
    }
  });

  it('constant costs must not grow, and linear costs may grow with the number', () => {
    expect(judgeGrowth(growing([100, 105, 110], 0.1))).toBe('met');
    expect(judgeGrowth(growing([100, 1_000, 10_000], 0.1))).toBe('not met');
    expect(judgeGrowth(growing([100, 900, 9_000], 1))).toBe('met');
    expect(judgeGrowth(growing([100, 10_000, 1_000_000], 1))).toBe('not met');
  });
});

describe('tables', () => {
  it('numbers have a unit and a sensible precision', () => {
    expect(number(12_345.6, 'ns')).toBe('12,346 ns');
    expect(number(1.0123, 'ratio')).toBe('1.012');
    expect(number(1 / 40, 'ratio')).toBe('1/40');
    expect(number(0, 'ratio')).toBe('0.000');
    expect(number(1_234.56, 'ms')).toBe('1,234.6 ms');
    expect(number(0.123, 's')).toBe('0.12 s');
    expect(number(1_234_567, '/s')).toBe('1,234,567/s');
    expect(number(null, 'ms')).toBe('not known');
  });

  it('columns are as wide as their cells', () => {
    expect(table(['a', 'long title'], [['long cell', 'b']])).toBe(
      '| a         | long title |\n| --------- | ---------- |\n| long cell | b          |',
    );
  });

  it('a run is shown with machine, figures, bars and growth', () => {
    const text = renderResults(
      results(
        [figure(EXIT, 'normal exit', 'ratio', { value: 2.5, low: 2.4, high: 2.6, samples: 7 })],
        [growing([1, 1], 0.1)],
      ),
    );
    expect(text).toContain('a processor, 2 of them');
    expect(text).toMatch(/commit +\| 0123abc/);
    expect(text).toMatch(/normal exit +\| 2.500 +\| 2.400 – 2.600 +\| ≤ 2.000 +\| not met/);
    expect(text).toMatch(/an exit +\| processes +\| 10: 1 ns; 100: 1 ns +\| 0.00/);
  });
});

describe('the document', () => {
  it('accepts tables and figures by name, and nothing else', () => {
    const measured = results([figure('kernel.exit_normal', 'normal exit', 'ns', 176)]);
    expect(fill('An exit costs {{kernel.exit_normal}} at {{commit}}.', measured)).toBe(
      'An exit costs 176 ns at 0123abc.',
    );
    expect(fill('{{storm}}', measured)).toBe('Not measured.');
    expect(() => fill('{{kernel.nothing}}', measured)).toThrow(/kernel.nothing/);
  });

  it('lists every bar, with its limit, and one that was not measured', () => {
    const bars = fill(
      '{{bars}}',
      results([
        figure('workload.exec', 'vfork, exec, exit', 'ratio', 1.01),
        figure('workload.exec.floor', 'with empty programs', 'ratio', 1.005),
      ]),
    );
    expect(bars).toMatch(/vfork, exec, exit +\| ≤ 1.020 +\| 1.010 +\| met +\| 1.005/);
    expect(bars).toMatch(/kernel\.exit_normal\.ratio +\| ≤ 2 +\| +\| not measured/);
    expect(bars.split('\n')).toHaveLength(2 + barsOfACompleteRun().length);
  });

  it('docs/performance.md is up to date with its template and the last complete run', () => {
    const path = join(ROOT, 'bench/results/full.json');
    expect(existsSync(path), `${path}: npm run bench -- --write`).toBe(true);
    const full = JSON.parse(readFileSync(path, 'utf8'));
    const template = readFileSync(join(ROOT, 'bench/performance.md'), 'utf8');
    expect(readFileSync(join(ROOT, 'docs/performance.md'), 'utf8')).toBe(fill(template, full));
  });

  it('docs/scale.md is up to date with its template and the last run of its part', () => {
    const [path, page] = [join(ROOT, 'bench/results/scale.json'), join(ROOT, 'docs/scale.md')];
    // Both come with the first run: npm run bench -- --only scale --write
    expect(existsSync(page)).toBe(existsSync(path));
    if (!existsSync(path)) return;
    const measured: Results = JSON.parse(readFileSync(path, 'utf8'));
    expect(measured.quick).toBe(false);
    expect(measured.parts.map(({ part }) => part)).toEqual(['scale']);
    const template = readFileSync(join(ROOT, 'bench/scale.md'), 'utf8');
    expect(readFileSync(page, 'utf8')).toBe(fill(template, measured));
  });
});
