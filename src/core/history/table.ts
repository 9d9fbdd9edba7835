// SPDX-License-Identifier: Apache-2.0
// Entries of the history as a table for a terminal, and counts as bars. Names come from processes: control characters are escaped.
import * as semconv from '../telemetry/semconv.ts';
import { visible } from '../words/visible.ts';
import { type Entry, SHORT_UID_CHARS } from './entry.ts';
import type { Counted, Statistics } from './statistics.ts';

const HEAD = ['WHEN', 'PROCESS', 'PID', 'WHY', 'WHO', 'WHERE', 'ID'] as const;
/** The widest that each column is made, in characters; 0: as wide as its content. */
const WIDTHS_MAX = [0, 32, 0, 28, 40, 40, 0];
/** Columns that give way to a narrow terminal, the first one first, and what they keep. */
const NARROWED = [5, 4, 1, 3] as const;
const WIDTH_MIN = 8;
const GAP = 2;
const MS = 1_000_000n;

/** `width`: of the terminal; null: lines are not cut. `newest`: an entry a line, in this order. */
export function renderTable(entries: readonly Entry[], width: number | null): string {
  const rows = [HEAD, ...entries.map(cellsOf)];
  const widths = HEAD.map((_, column) => {
    const most = Math.max(...rows.map((row) => [...(row[column] ?? '')].length));
    const limit = WIDTHS_MAX[column] ?? 0;
    return limit === 0 || width === null ? most : Math.min(most, limit);
  });
  if (width !== null) narrow(widths, width);
  return rows
    .map((row) => {
      const line = row.map((cell, column) => padded(cell, widths[column] ?? 0)).join(' '.repeat(GAP));
      return `${width === null ? line.trimEnd() : cut(line.trimEnd(), width)}\n`;
    })
    .join('');
}

function narrow(widths: number[], width: number): void {
  for (const column of NARROWED) {
    const over = widths.reduce((sum, one) => sum + one, GAP * (widths.length - 1)) - width;
    if (over <= 0) return;
    const own = widths[column] ?? 0;
    widths[column] = Math.max(Math.min(own, WIDTH_MIN), own - over);
  }
}

function cellsOf(entry: Entry): string[] {
  const { process, requester, uid, unit, container, service } = entry;
  return [
    shortTime(entry.time_ns),
    process.name || '-',
    process.pid === null ? '-' : String(process.pid),
    reasonOf(entry),
    [entry.sender ?? '-', ...(requester === undefined ? [] : [`(asked by ${requester})`])].join(' '),
    service ?? container?.slice(0, 12) ?? unit ?? '-',
    uid.slice(0, SHORT_UID_CHARS),
  ].map(visible);
}

/** `killed SIGKILL`, `exit 3`, `restart`. */
export function reasonOf({ kind, cause, signal, exit_code: code, attributes }: Entry): string {
  switch (kind) {
    case 'restart':
    case 'incident':
    case 'gap':
      return kind;
    case 'loop':
      return `loop, ${attributes[semconv.LOOP_COUNT] ?? 'several'} times`;
    case 'summary':
      return `${attributes[semconv.AGGREGATED_COUNT] ?? 'several'} more`;
    case 'termination':
      return [cause ?? 'unknown', signal ?? code ?? ''].join(' ').trim();
  }
}

/** `2026-11-29 03:00:21`, in the time zone of this machine. */
export function shortTime(ns: bigint): string {
  const date = new Date(Number(ns / MS));
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}

function padded(text: string, width: number): string {
  return cut(text, width) + ' '.repeat(Math.max(0, width - [...text].length));
}

function cut(text: string, width: number): string {
  const chars = [...text];
  return chars.length <= width ? text : `${chars.slice(0, Math.max(0, width - 1)).join('')}…`;
}

const BAR_WIDTH = 24;
const BLOCKS = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'] as const;
const SPARKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

export function renderStatistics(statistics: Statistics, width: number | null): string {
  const { total, fromNs, stepNs, series } = statistics;
  const bins = series[0]?.counts.length ?? 0;
  const untilNs = fromNs + stepNs * BigInt(bins);
  const lines = [`${total} terminations, ${shortTime(fromNs)} to ${shortTime(untilNs)}`, ''];
  const sums = Array.from({ length: bins }, (_, bin) =>
    series.reduce((sum, { counts }) => sum + (counts[bin] ?? 0), 0),
  );
  lines.push(`  ${sparkline(sums)}`);
  for (const [title, counted] of [
    ['causes', statistics.causes],
    ['services', statistics.services],
    ['senders', statistics.senders],
  ] as const)
    if (counted.length > 0) lines.push('', title, ...bars(counted));
  return lines.map((line) => `${width === null ? line : cut(line, width)}\n`).join('');
}

function sparkline(counts: readonly number[]): string {
  const most = Math.max(1, ...counts);
  return counts.map((count) => (count === 0 ? ' ' : SPARKS[Math.ceil((count / most) * SPARKS.length) - 1])).join('');
}

function bars(counted: readonly Counted[]): string[] {
  const most = Math.max(...counted.map(({ count }) => count));
  const names = counted.map(({ name }) => cut(visible(name), WIDTHS_MAX[4] ?? 0));
  const nameWidth = Math.max(...names.map((name) => [...name].length));
  const countWidth = String(most).length;
  return counted.map(({ count }, position) => {
    const eighths = Math.max(1, Math.round((count / most) * BAR_WIDTH * BLOCKS.length));
    const whole = Math.floor(eighths / BLOCKS.length);
    const rest = eighths % BLOCKS.length;
    const bar = (BLOCKS.at(-1) ?? '').repeat(whole) + (rest === 0 ? '' : BLOCKS[rest - 1]);
    return `  ${padded(names[position] ?? '', nameWidth)}  ${String(count).padStart(countWidth)}  ${bar}`;
  });
}
