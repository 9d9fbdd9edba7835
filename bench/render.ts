// SPDX-License-Identifier: Apache-2.0
// Pure: renders results as tables for terminal and Markdown, and docs/performance.md and docs/scale.md from their templates.
import { BARS, type Bar, barWith, judge, judgeGrowth } from './bars.ts';
import { ALL_PARTS, type Figure, type Growth, PARTS, type PartName, type Results, type Unit } from './figures.ts';
import { growthExponent } from './statistics.ts';

/** Ratios below this are shown as 1/N. */
const FRACTION_BELOW = 0.1;
const TITLES: Readonly<Record<PartName, string>> = {
  kernel: 'Kernel',
  commits: 'Other commits',
  crashes: 'Crashes with their stacks',
  workload: 'Effect on other work',
  builds: 'Effect on builds',
  latency: 'Latency',
  services: 'Service of another commit',
  starts: 'Starts of the service of another commit',
  storm: 'Storm',
  idle: 'Idle',
  growth: 'Growth',
  peers: 'Other tools',
  profile: 'Profile',
  scale: 'A fleet',
  observed: 'A kernel without BTF',
};

export function number(value: number | null, unit: Unit): string {
  if (value === null || Number.isNaN(value)) return 'not known';
  switch (unit) {
    case 'ratio':
      return value > 0 && value < FRACTION_BELOW ? `1/${(1 / value).toFixed(0)}` : value.toFixed(3);
    case 'ns':
    case '/s':
    case 'count':
      return `${grouped(value.toFixed(0))}${unit === 'count' ? '' : unit === '/s' ? '/s' : ' ns'}`;
    case '%':
      return `${value.toFixed(2)} %`;
    case 'µs':
    case 'ms':
    case 's':
    case 'MB':
    case 'GB':
      return `${grouped(value.toFixed(value < 10 ? 2 : 1))} ${unit}`;
    case 'B':
      return `${grouped(value.toFixed(0))} bytes`;
  }
}

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ',');

/** Renders a Markdown table with padded columns, so that it is readable in a terminal. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function barOf({ id, unit }: Figure): string {
  const bar = barWith(id);
  if (bar === undefined) return '';
  return 'max' in bar ? `≤ ${number(bar.max, unit)}` : `≥ ${number(bar.min, unit)}`;
}

function spreadOf({ low, high, unit }: Figure): string {
  return low === undefined || high === undefined ? '' : `${number(low, unit)} – ${number(high, unit)}`;
}

export function figuresTable(figures: readonly Figure[]): string {
  return table(
    ['figure', 'median', '95 % interval', 'bar', '', 'note'],
    figures.map((one) => [
      one.title,
      number(one.value, one.unit),
      spreadOf(one),
      barOf(one),
      judge(one) ?? '',
      one.note ?? '',
    ]),
  );
}

function growthTable(growth: readonly Growth[]): string {
  return table(
    ['cost', 'of', 'size: cost', 'exponent', 'bar', ''],
    growth.map((one) => [
      one.title,
      one.of,
      one.points.map(({ size, value }) => `${grouped(String(size))}: ${number(value, one.unit)}`).join('; '),
      growthExponent(one.points).toFixed(2),
      `≤ ${one.exponentMax}`,
      judgeGrowth(one),
    ]),
  );
}

/** Renders all bars. One without a figure is in the table, so that no bar disappears unnoticed. */
export function barsTable(results: Results): string {
  const all = new Map(results.parts.flatMap(({ figures }) => figures).map((one) => [one.id, one]));
  const shown = (id = ''): string => {
    const found = all.get(id);
    return found === undefined ? '' : number(found.value, found.unit);
  };
  return table(
    ['figure', 'bar', 'measured', 'result', 'limit'],
    barsOfACompleteRun().map(([id, bar]) => {
      const found = all.get(id);
      return found === undefined
        ? [id, 'max' in bar ? `≤ ${bar.max}` : `≥ ${bar.min}`, '', 'not measured', '']
        : [found.title, barOf(found), shown(id), judge(found) ?? '', shown(bar.limit)];
    }),
  );
}

export function barsOfACompleteRun(): [string, Bar][] {
  return Object.entries(BARS).filter(([id]) => PARTS.some((part) => id.startsWith(`${part}.`)));
}

export function machineTable({ commit, machine, parts, quick }: Results): string {
  const began = parts.map(({ began }) => began).sort()[0] ?? 'never';
  const seconds = parts.reduce((sum, part) => sum + part.seconds, 0);
  const again = list(
    parts.filter((part) => part.commit !== undefined),
    (part) => part.commit ?? '',
  );
  const rows: [string, string][] = [
    ['processor', `${machine.processor}, ${machine.processors} of them`],
    ['memory', `${machine.memoryMB} MB`],
    ['kernel', machine.kernel],
    ['distribution', machine.distribution],
    ['commit', commit],
    ...(again === '' ? [] : [['commit of the parts that were measured again', again] satisfies [string, string]]),
    ...Object.entries(machine.versions),
    ['measured', `${began}, in ${Math.round(seconds)} s${quick ? ', quickly (--quick): only a hint' : ''}`],
    ['background load before each part', list(parts, ({ backgroundPercent }) => `${backgroundPercent.toFixed(0)} %`)],
    ['steal time, taken by other virtual machines', list(parts, ({ stealPercent }) => `${stealPercent.toFixed(1)} %`)],
  ];
  return table(['', ''], rows);
}

function list(parts: Results['parts'], text: (part: Results['parts'][number]) => string): string {
  return parts.map((part) => `${part.part} ${text(part)}`).join(', ');
}

export function partTables({ parts }: Results, name: PartName): string {
  const part = parts.find((one) => one.part === name);
  if (part === undefined) return 'Not measured.';
  return [
    ...(part.figures.length > 0 ? [figuresTable(part.figures)] : []),
    ...(part.growth.length > 0 ? [growthTable(part.growth)] : []),
  ].join('\n\n');
}

/** Renders all results for the terminal. */
export function renderResults(results: Results): string {
  const measured = ALL_PARTS.filter((name) => results.parts.some(({ part }) => part === name));
  return [machineTable(results), ...measured.map((name) => `${TITLES[name]}\n\n${partTables(results, name)}`)].join(
    '\n\n',
  );
}

/**
 * Replaces `{{machine}}`, `{{commit}}`, `{{bars}}`, `{{PART}}` and `{{FIGURE ID}}` (the figure's value) in the template. Throws on any other name: a
 * figure that the text mentions must have been measured.
 */
export function fill(template: string, results: Results): string {
  const figures = new Map(results.parts.flatMap((part) => part.figures).map((one) => [one.id, one]));
  return template.replace(/\{\{([^}]+)\}\}/g, (_, name: string) => {
    if (name === 'machine') return machineTable(results);
    if (name === 'commit') return results.commit;
    if (name === 'bars') return barsTable(results);
    const part = ALL_PARTS.find((one) => one === name);
    if (part !== undefined) return partTables(results, part);
    const found = figures.get(name);
    if (found === undefined) throw new Error(`the template mentions ${name}, which is not in the results`);
    return number(found.value, found.unit);
  });
}
