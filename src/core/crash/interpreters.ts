// SPDX-License-Identifier: Apache-2.0
// Programs whose native stack is not the stack of the program that they run: interpreters and virtual machines.
import type { Frame } from '../wire/crash.ts';
import { fileName } from './frames.ts';

/** By the file's name, of the executable or of a library in the stack. */
const INTERPRETERS: readonly (readonly [language: string, files: RegExp])[] = [
  ['Python', /^(?:python[\d.]*[a-z]*|pypy[\d.]*|libpython[\w.]*\.so[\d.]*|libpypy[\w-]*\.so[\d.]*)$/],
  ['JavaScript', /^(?:node(?:js)?|deno|bun|libnode\.so[\d.]*|d8|electron)$/],
  ['Java', /^(?:java|libjvm\.so)$/],
  ['Ruby', /^(?:ruby[\d.]*|libruby[\w.-]*\.so[\d.]*)$/],
  ['Perl', /^(?:perl[\d.]*|libperl\.so[\d.]*)$/],
  ['PHP', /^(?:php[\d.]*|php-(?:fpm|cgi)[\d.]*|libphp[\d.]*\.so|mod_php[\w.]*\.so)$/],
  ['Lua', /^(?:lua(?:jit)?[\d.-]*|liblua[\w.-]*\.so[\d.]*)$/],
  ['Erlang', /^(?:beam(?:\.smp)?)$/],
  ['.NET', /^(?:dotnet|libcoreclr\.so|libmonosgen[\w.-]*\.so[\d.]*|mono(?:-sgen)?)$/],
  ['R', /^(?:R|libR\.so)$/],
  ['shell', /^(?:bash|dash|zsh|ksh)$/],
];

/** A line of evidence for the reader of a native stack. null: no interpreter is known in it. */
export function interpreterEvidence(frames: readonly Frame[]): string | null {
  const files = new Set(frames.flatMap(({ module, guess }) => (module === null || guess ? [] : [fileName(module)])));
  for (const [language, pattern] of INTERPRETERS)
    if ([...files].some((file) => pattern.test(file)))
      return `the frames are native ones, of the ${language} interpreter and of libraries: functions of the ${language} program are not among them`;
  return null;
}
