// SPDX-License-Identifier: Apache-2.0
// What a rehearsal of rules found, as text and as JSON. Names come from processes: control characters are escaped in the text.
import { isoTime } from '../time.ts';
import { signalName } from '../verdict/signals.ts';
import { visible } from '../words/visible.ts';
import type { Change, Rehearsal } from './rehearsal.ts';
import { shortTime } from './table.ts';

const WIDTHS = { word: 4, process: 24, how: 18, action: 6 } as const;

/** The sum, then a line for each change. */
export function renderRehearsal({ records, unreported, counted, gone, come, left }: Rehearsal): string {
  const more = counted === 0 ? '' : ` and ${counted} like them that the kernel counted`;
  return [
    `${gone.length} of ${records} records would go.`,
    `${come.length} of ${unreported} terminations without a record${more} would come; ${left.length} would leave their summary.`,
    ...gone.map((change) => lineOf('go', change)),
    ...come.map((change) => lineOf('come', change)),
    ...left.map((change) => lineOf('left', change)),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function lineOf(word: string, { timeNs, pid, subject, rule, action, ruleThen, counted }: Change): string {
  const { exitCode, signo, cause } = subject;
  const process = `${subject.executable.at(-1) ?? '?'} (${pid ?? '-'})`;
  const how = `${cause} ${exitCode ?? signalName(signo)}`;
  const then = ruleThen === null ? [] : [`was: ${ruleThen}`];
  const remarks = [...then, ...(counted === 0 ? [] : [`${counted} more like it`])];
  const cells = [
    word.padEnd(WIDTHS.word),
    shortTime(timeNs),
    process.padEnd(WIDTHS.process),
    how.padEnd(WIDTHS.how),
    action.padEnd(WIDTHS.action),
    remarks.length === 0 ? rule : `${rule} (${remarks.join('; ')})`,
  ];
  return visible(cells.join('  '));
}

/** For JSON.stringify(). */
export function rehearsalJson({ gone, come, left, ...sums }: Rehearsal): object {
  return { ...sums, go: gone.map(changeJson), come: come.map(changeJson), left: left.map(changeJson) };
}

function changeJson({ uid, timeNs, pid, subject, rule, action, ruleThen, counted }: Change): object {
  return { uid, time: isoTime(timeNs), pid, rule, action, rule_then: ruleThen, counted, subject };
}
