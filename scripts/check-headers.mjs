// Compiles each header of bpf/ alone, so that it includes what it uses and can be read, and moved, by itself.
//
// SPDX-License-Identifier: Apache-2.0

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, run } from './steps.mjs';

const CLANG = 'clang-19'; // as generate.mjs
const FLAGS = [
  ...['-target', 'bpf', '-mcpu=v3', '-O2', '-fsyntax-only', '-Wall', '-Wextra', '-Werror'],
  '-Wno-unused-function', // what a header defines is used elsewhere
  '-Wno-pragma-once-outside-header', // here the header is the main file
  `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
];

export async function checkHeaders() {
  const headers = readdirSync(join(ROOT, 'bpf')).filter((name) => name.endsWith('.h'));
  for (const header of headers) {
    await run(CLANG, [...FLAGS, join('bpf', header)], { remedy: `bpf/${header} must include what it uses.` });
  }
}
