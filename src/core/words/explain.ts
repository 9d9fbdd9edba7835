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

/** What the meaning of an exit code depends on. */
export interface Exited {
  /** The file name of the executable. */
  readonly executable: string;
  /** What the executable runs, if it runs others. null: nothing, or not known. */
  readonly script: string | null;
  /** null: another runtime, or not known. */
  readonly runtime: 'go' | null;
}

/**
 * The meaning of a program's exit code. null: not known. Code 0 has none. The tables of a script have precedence over those of its
 * interpreter, and those over the runtime's.
 */
export function exitMeaning(code: number, { executable, script, runtime }: Exited): string | null {
  const named = (name: string) => COMPILED.filter(([, globs]) => globs.some((matches) => matches(name)));
  const ofScript = script === null ? [] : named(script);
  const ofFile = ofScript.length > 0 ? ofScript : named(executable);
  const own = ofFile.length > 0 ? ofFile : COMPILED.filter(([table]) => runtime !== null && table.runtime === runtime);
  for (const [table] of own) {
    const text = table.codes[code];
    if (text !== undefined) return text;
  }
  const otherwise = code === 0 ? null : (own[0]?.[0].otherwise ?? null);
  return conventions(code)[0]?.text ?? otherwise;
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
  const otherwise = executable === null || code === 0 ? [] : tables.flatMap(([table]) => otherwiseIn(table));
  const bySignal = code > SIGNAL_BASE && code <= SIGNAL_BASE + SIGNAL_MAX ? [signalMeaning(code - SIGNAL_BASE)] : [];
  const asSignal = signo !== null && signo < SIGRTMIN && executable === null ? [signalMeaning(signo)] : [];
  return [...conventions(code), ...bySignal, ...known, ...otherwise, ...asSignal];
}

/** Whether a table applies to this program, by the executable's name or by an alias. */
function isAbout(table: ExitCodeTable, globs: readonly Glob[], name: string): boolean {
  return globs.some((matches) => matches(name)) || table.aliases?.includes(name.toLowerCase()) === true;
}

function meaningIn(table: ExitCodeTable, code: number): Meaning[] {
  const text = table.codes[code];
  return text === undefined ? [] : [{ who: table.title, text, source: table.source }];
}

function otherwiseIn({ title, otherwise, source }: ExitCodeTable): Meaning[] {
  return otherwise === undefined ? [] : [{ who: title, text: otherwise, source }];
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
