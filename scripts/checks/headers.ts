// SPDX-License-Identifier: Apache-2.0
// Compiles each header of bpf/ alone, to verify that it includes what it uses.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../base/run.ts';
import { BPF_FLAGS, CLANG } from '../build/clang.ts';
import { ROOT } from '../paths.ts';

const FLAGS = [
  ...['-target', 'bpf', '-fsyntax-only', ...BPF_FLAGS],
  '-Wno-unused-function', // the functions of a header are used elsewhere
  '-Wno-pragma-once-outside-header', // here the header is the main file
];

/** Requires the compiler (requireCompiler()). */
export async function checkHeaders(): Promise<void> {
  const headers = readdirSync(join(ROOT, 'bpf')).filter((name) => name.endsWith('.h'));
  for (const header of headers)
    await run(CLANG, [...FLAGS, join('bpf', header)], { remedy: `bpf/${header} must include what it uses.` });
}
