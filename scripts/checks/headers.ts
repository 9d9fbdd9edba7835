// SPDX-License-Identifier: Apache-2.0
// Compiles each header of bpf/ alone, so that it includes what it uses and can be read, and moved, by itself.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../base/run.ts';
import { BPF_FLAGS, CLANG } from '../build/clang.ts';
import { ROOT } from '../paths.ts';

const FLAGS = [
  ...['-target', 'bpf', '-fsyntax-only', ...BPF_FLAGS],
  '-Wno-unused-function', // what a header defines is used elsewhere
  '-Wno-pragma-once-outside-header', // here the header is the main file
];

/** Needs the compiler. */
export async function checkHeaders(): Promise<void> {
  const headers = readdirSync(join(ROOT, 'bpf')).filter((name) => name.endsWith('.h'));
  for (const header of headers)
    await run(CLANG, [...FLAGS, join('bpf', header)], { remedy: `bpf/${header} must include what it uses.` });
}
