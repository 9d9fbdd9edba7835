// SPDX-License-Identifier: Apache-2.0
// Writes the man page and the completions that the packages install.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bashCompletion, fishCompletion, zshCompletion } from '../../src/config/completions.ts';
import { manPage } from '../../src/config/man.ts';

export function writeShellFiles(directory: string, version: string): void {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, content: string | Uint8Array) => writeFileSync(join(directory, name), content);
  write('whodunit.1.gz', gzipSync(manPage(version)));
  write('whodunit.bash', bashCompletion());
  write('_whodunit', zshCompletion());
  write('whodunit.fish', fishCompletion());
}
