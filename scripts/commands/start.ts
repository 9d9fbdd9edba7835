// SPDX-License-Identifier: Apache-2.0
// `npm start`: builds loader and service, and replaces itself, by execve(2), with `whodunit up`, which keeps them running until Ctrl-C.
// Arguments after `--` are passed to it: `npm start -- --output json`.
import { command } from '../base/command.ts';
import { build } from '../build/programs.ts';
import { NODE, SERVICE } from '../paths.ts';

await command(async () => {
  await build();
  process.removeAllListeners('warning'); // process.execve() warns that it is experimental
  process.execve?.(NODE, [NODE, SERVICE, 'up', ...process.argv.slice(2)], process.env);
  return 1;
});
