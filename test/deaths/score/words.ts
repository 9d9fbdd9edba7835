// SPDX-License-Identifier: Apache-2.0
// A termination, a verdict and a score as text short enough for a table cell. Pure. No pids, so that two runs give the same text.
import { constants } from 'node:os';
import { basename } from 'node:path';
import type { LogRecord } from '../../../scripts/stack/otlp-file.ts';
import type { Expectation } from '../cases/case.ts';
import type { Death } from '../truth.ts';
import type { Ending } from './observed.ts';
import type { Scored } from './run.ts';
import type { Weighed } from './weigh.ts';

/** There was nothing to report. */
export const NOTHING = '–';

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
/** SIGIOT has the same number. */
signalNames.set(constants.signals.SIGABRT, 'SIGABRT');

export function signalName(signal: number): string {
  return signalNames.get(signal) ?? `signal ${signal}`;
}

export function endingWords(ending: Ending): string {
  return 'code' in ending ? `exit ${ending.code}` : signalName(ending.signal);
}

/** The truth: status and killer from the undertaker, cause from the case. */
export function truthWords(truth: Death, expected: Expectation | undefined): string {
  const killer = truth.killer === null ? undefined : basename(truth.killer.exe);
  const ending = truth.signal === null ? { code: truth.exit_code ?? 0 } : { signal: truth.signal };
  return sentence(expected?.cause, ending, expected?.handledSignal, expected?.senderKind, killer);
}

/** What whodunit reports, in the same form. */
export function verdictWords({ attributes }: LogRecord): string {
  const code = attributes['process.exit.code'];
  const signal = attributes['whodunit.signal.number'];
  const ending = code === undefined ? { signal: Number(signal) } : { code: Number(code) };
  const handled = code === undefined || signal === undefined ? undefined : Number(signal);
  const sender = attributes['whodunit.sender.executable.name'];
  return sentence(attributes['whodunit.cause'], ending, handled, attributes['whodunit.sender.kind'], sender);
}

function sentence(cause: unknown, ending: Ending, handledSignal: number | undefined, kind: unknown, sender: unknown) {
  const words = [endingWords(ending)];
  if (cause !== undefined && cause !== 'exit') words.push(`(${cause})`);
  if (handledSignal !== undefined) words.push('after', signalName(handledSignal));
  if (kind === 'process') words.push('by', String(sender ?? '?'));
  else if (kind === 'self') words.push('by itself');
  else if (kind !== undefined) words.push('by', kind === 'kernel' ? 'the kernel' : String(kind));
  return words.join(' ');
}

export function caseWords(id: string, times: number): string {
  return times === 1 ? id : `${id} (${times} times)`;
}

/** What whodunit reported, and whether the suite found no difference. */
export function ourWords({ finding: { expected, records, differences } }: Scored): { said: string; right: boolean } {
  const said = records.map(verdictWords).join(' and ');
  if (said !== '') return { said, right: differences.length === 0 };
  return { said: expected === undefined ? 'no record' : 'nothing', right: differences.length === 0 };
}

/** The score of another tool. Its output is included, in bold, only if it was wrong. */
export function weighedWords(weighed: Weighed | undefined): string {
  if (weighed === undefined) return NOTHING;
  const { status, endings, sender, named } = weighed;
  const words: string[] = [];
  const said = endings.map(endingWords).join(' and ');
  if (status === 'right' || status === 'missed') words.push(status);
  else if (status === 'doubled') words.push(`${endings.length} times`);
  else if (status !== null) words.push(`**${said}**`);
  if (sender === 'right') words.push(status === null ? 'right' : 'sender right');
  else if (sender === 'silent') words.push('no sender');
  else if (sender === 'wrong' || sender === 'blamed') words.push(`**by ${named?.comm}**`);
  return words.join(', ') || NOTHING;
}
