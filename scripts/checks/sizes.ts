// SPDX-License-Identifier: Apache-2.0
// Limits the sizes of functions and files in loader/ and bpf/; Biome limits TypeScript. Tests and generated files are exempt.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/command.ts';
import { ROOT } from '../paths.ts';

const FUNCTION_LINES_MAX = 60;
const FILE_LINES_MAX = 300;
const DIRECTORIES = ['loader', 'bpf'];

/** The formatters put a function's closing brace in the first column; in C the opening brace, too, on its own line. */
const FUNCTION = /^(?:func .*\{|\{)$/;
const DECLARATION = /^\w/;
const NAME = /(\w+)\(/;

/** Returns one message for each thing that is too long in a Go or C file. */
export function tooLong(path: string, source: string): string[] {
  const lines = source.trimEnd().split('\n');
  const found = lines.length > FILE_LINES_MAX ? [`${path}: ${lines.length} lines`] : [];
  let start: number | undefined;
  for (const [index, line] of lines.entries()) {
    if (FUNCTION.test(line)) start = index;
    if (!line.startsWith('}') || start === undefined) continue;
    const length = index - start - 1;
    const declaration = lines.slice(0, start + 1).findLast((above) => DECLARATION.test(above)) ?? '';
    if (length > FUNCTION_LINES_MAX) found.push(`${path}:${start + 1}: ${length} lines in ${nameIn(declaration)}`);
    start = undefined;
  }
  return found;
}

function nameIn(declaration: string): string {
  return NAME.exec(declaration.replace(/^func \([^)]*\) /, ''))?.[1] ?? declaration;
}

export async function checkSizes(): Promise<void> {
  const files = DIRECTORIES.flatMap((directory) =>
    readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name)),
  );
  const found = files
    .filter((path) => /\.[ch]$|\.go$/.test(path) && !/_test\.go$|_bpfel\.go$/.test(path))
    .flatMap((path) => tooLong(path, readFileSync(join(ROOT, path), 'utf8')));
  if (found.length > 0)
    throw new Failure(
      `A function may have ${FUNCTION_LINES_MAX} lines, a file ${FILE_LINES_MAX}: split it.`,
      found.join('\n'),
    );
}
