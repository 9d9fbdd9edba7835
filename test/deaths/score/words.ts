// SPDX-License-Identifier: Apache-2.0
// A death, a verdict and a score in words: short enough for a cell of a table. Pure; no pid in it, so that two runs give the same words.
import { constants } from 'node:os';
import { basename } from 'node:path';
import type { LogRecord } from '../../../scripts/stack/otlp-file.ts';
import type { Expectation } from '../cases/case.ts';
import type { Death } from '../truth.ts';
import type { Ending } from './observed.ts';
import type { Scored } from './run.ts';
import type { Weighed } from './weigh.ts';

/** There was nothing to tell. */
export const NOTHING = '–';

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
/** SIGIOT is another name of it. */
signalNames.set(constants.signals.SIGABRT, 'SIGABRT');

export function signalName(signal: number): string {
  return signalNames.get(signal) ?? `signal ${signal}`;
}

export function endingWords(ending: Ending): string {
  return 'code' in ending ? `exit ${ending.code}` : signalName(ending.signal);
}

/** The truth: the undertaker's about the end and the killer, the case's about the cause. */
export function truthWords(truth: Death, expected: Expectation | undefined): string {
  const killer = truth.killer === null ? undefined : basename(truth.killer.exe);
  const ending = truth.signal === null ? { code: truth.exit_code ?? 0 } : { signal: truth.signal };
  return sentence(expected?.cause, ending, expected?.handledSignal, expected?.senderKind, killer);
}

/** What whodunit says, in the same words. */
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

/** What whodunit said, in full, and whether it was right in everything that the suite compares. */
export function ourWords({ finding: { expected, records, differences } }: Scored): { said: string; right: boolean } {
  const said = records.map(verdictWords).join(' and ');
  if (said !== '') return { said, right: differences.length === 0 };
  return { said: expected === undefined ? 'no record' : 'nothing', right: differences.length === 0 };
}

/** What another tool's telling was worth; what it said is there only where it was wrong, and bold. */
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
