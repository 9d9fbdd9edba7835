// SPDX-License-Identifier: Apache-2.0
// Makes all mutants of some source files, with the mutators of Stryker: each file once, with a switch for every mutant in it
// (globalThis.__stryker__.activeMutant). runner.ts turns the switches.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Instrumenter } from '@stryker-mutator/instrumenter';
import { ROOT } from '../../paths.ts';

/** One change of the source. */
export interface Mutant {
  readonly id: string;
  /** Relative to the root of the project. */
  readonly file: string;
  readonly line: number;
  /** The whole first line of the code that changes, trimmed. */
  readonly text: string;
  /** Stryker's name of the kind: StringLiteral, LogicalOperator. */
  readonly mutator: string;
  /** The changed code, in one line. */
  readonly before: string;
  readonly after: string;
  /** Counts the mutants of this line with the same change, from 1. */
  readonly nth: number;
}

export interface Instrumented {
  readonly mutants: readonly Mutant[];
  /** The source with switches, by absolute path. */
  readonly sources: ReadonlyMap<string, string>;
}

/** `files`: paths relative to the root of the project. */
export async function instrument(files: readonly string[]): Promise<Instrumented> {
  const sources = new Map(files.map((file) => [join(ROOT, file), readFileSync(join(ROOT, file), 'utf8')]));
  const inputs = [...sources].map(([name, content]) => ({ name, content, mutate: true }));
  const options = { plugins: null, ignorers: [], excludedMutations: [] };
  const instrumented = await new Instrumenter(SILENT).instrument(inputs, options);
  const seen = new Map<string, number>();
  const mutants = instrumented.mutants.map(({ id, fileName, mutatorName, replacement, location }): Mutant => {
    const lines = (sources.get(fileName) ?? '').split('\n');
    const { start, end } = location;
    const changed = lines.slice(start.line, end.line + 1);
    changed[changed.length - 1] = changed.at(-1)?.slice(0, end.column) ?? '';
    changed[0] = changed[0]?.slice(start.column) ?? '';
    const before = inOneLine(changed.join('\n'));
    const after = inOneLine(replacement);
    const key = [fileName, start.line, mutatorName, before, after].join('\n');
    const nth = (seen.get(key) ?? 0) + 1;
    seen.set(key, nth);
    return {
      id,
      file: fileName.slice(ROOT.length + 1),
      line: start.line + 1,
      text: lines[start.line]?.trim() ?? '',
      mutator: mutatorName,
      before,
      after,
      nth,
    };
  });
  return { mutants, sources: new Map(instrumented.files.map(({ name, content }) => [name, content])) };
}

function inOneLine(code: string): string {
  return code.replace(/\s+/g, ' ');
}

const SILENT = {
  isTraceEnabled: () => false,
  isDebugEnabled: () => false,
  isInfoEnabled: () => false,
  isWarnEnabled: () => false,
  isErrorEnabled: () => false,
  isFatalEnabled: () => false,
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  fatal: () => {},
};
