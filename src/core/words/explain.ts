// SPDX-License-Identifier: Apache-2.0
// Looks up the meanings of exit codes and signals, for records (`whodunit.exit.meaning`) and for `whodunit explain`. The texts are in
// exit-codes.ts and signal-meanings.ts.

import { type Glob, glob } from '../glob.ts';
import { SIGNAL_MAX, SIGRTMIN, signalName, signalNumber } from '../verdict/signals.ts';
import { EXIT_CODES, type ExitCodeTable, SIGNAL_BASE, SIGNAL_BASE_SOURCE } from './exit-codes.ts';
import { REALTIME_MEANING, SIGNAL_MEANINGS, SIGNAL_SOURCE } from './signal-meanings.ts';

export interface Meaning {
  /** The table's title, `Convention: …`, or the signal's name. */
  readonly who: string;
  readonly text: string;
  readonly source: string;
}

const COMPILED: readonly (readonly [ExitCodeTable, readonly Glob[]])[] = EXIT_CODES.map((table) => [
  table,
  table.executables.map(glob),
]);

/** The meaning of a program's exit code, by the name of its executable. null: not known. Code 0 has none. */
export function exitMeaning(code: number, executable: string): string | null {
  for (const [table, globs] of COMPILED) {
    const text = table.codes[code];
    if (text !== undefined && globs.some((matches) => matches(executable))) return text;
  }
  return conventions(code)[0]?.text ?? null;
}

/**
 * All known meanings of an exit code or a signal (`137`, `SIGBUS`, `bus`), for one program or for all. The program is the name of an
 * executable or an alias (`jvm`, `rust`). Empty: no meaning is known. null: `what` is neither a code nor a signal.
 */
export function explain(what: string, executable: string | null): Meaning[] | null {
  const signo = signalNumber(what);
  if (!/^\d{1,3}$/.test(what)) return signo === null ? null : [signalMeaning(signo)];
  const code = Number(what);
  if (code > 255) return null;
  const tables = COMPILED.filter(([table, globs]) => executable === null || isAbout(table, globs, executable));
  const known = tables.filter(([{ convention }]) => convention !== true).flatMap(([table]) => meaningIn(table, code));
  if (executable !== null && known.length > 0) return known;
  const bySignal = code > SIGNAL_BASE && code <= SIGNAL_BASE + SIGNAL_MAX ? [signalMeaning(code - SIGNAL_BASE)] : [];
  const asSignal = signo !== null && signo < SIGRTMIN && executable === null ? [signalMeaning(signo)] : [];
  return [...conventions(code), ...bySignal, ...known, ...asSignal];
}

/** Whether a table applies to this program, by the executable's name or by an alias. */
function isAbout(table: ExitCodeTable, globs: readonly Glob[], name: string): boolean {
  return globs.some((matches) => matches(name)) || table.aliases?.includes(name.toLowerCase()) === true;
}

function meaningIn(table: ExitCodeTable, code: number): Meaning[] {
  const text = table.codes[code];
  return text === undefined ? [] : [{ who: table.title, text, source: table.source }];
}

function conventions(code: number): Meaning[] {
  const tables = EXIT_CODES.filter(({ convention }) => convention === true).flatMap((table) => meaningIn(table, code));
  const signo = code - SIGNAL_BASE;
  if (signo < 1 || signo > SIGNAL_MAX) return tables;
  const text = `${SIGNAL_BASE} + ${signo}: by convention, ${signalName(signo)} terminated it or a child of it`;
  return [{ who: 'Convention: 128 + signal', text, source: SIGNAL_BASE_SOURCE }, ...tables];
}

function signalMeaning(signo: number): Meaning {
  const text = SIGNAL_MEANINGS[signo] ?? (signo >= SIGRTMIN ? REALTIME_MEANING : 'reserved by the C library');
  return { who: `${signalName(signo)} (signal ${signo})`, text, source: SIGNAL_SOURCE };
}
