#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// `whodunit-loader` of the npm package: replaces itself, by execve(2), with the loader built for this architecture.
import { loaderBeside, noLoader } from './io/up/programs.ts';

const program = loaderBeside(import.meta.dirname);

if (program !== null) {
  process.removeAllListeners('warning'); // process.execve() warns that it is experimental
  process.execve?.(program, [program, ...process.argv.slice(2)], process.env);
} else {
  console.error(`whodunit-loader: ${noLoader()}`);
  process.exitCode = 69; // EX_UNAVAILABLE
}
