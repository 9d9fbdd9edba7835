#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `whodunit-loader` of the npm package: becomes the loader that was built for this processor. What the loader does is its own business.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const program = join(import.meta.dirname, '../prebuilt', `linux-${process.arch}`, 'whodunit-loader');

if (existsSync(program)) {
  process.removeAllListeners('warning'); // that execve is experimental: it is one system call
  process.execve?.(program, [program, ...process.argv.slice(2)], process.env);
} else {
  console.error(
    `whodunit-loader: this package has no loader for linux-${process.arch}, only for x64 and arm64. \`go build ./loader\` in the repository makes one.`,
  );
  process.exitCode = 69; // EX_UNAVAILABLE
}
