#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `whodunit-loader` of the npm package: replaces itself, by execve(2), with the loader built for this architecture.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const program = join(import.meta.dirname, '../prebuilt', `linux-${process.arch}`, 'whodunit-loader');

if (existsSync(program)) {
  process.removeAllListeners('warning'); // process.execve() warns that it is experimental
  process.execve?.(program, [program, ...process.argv.slice(2)], process.env);
} else {
  console.error(
    `whodunit-loader: this package has no loader for linux-${process.arch}, only for x64 and arm64. To build one, run \`npm run build\` in the repository.`,
  );
  process.exitCode = 69; // EX_UNAVAILABLE
}
