// SPDX-License-Identifier: Apache-2.0
// `npm run -s whodunit -- list …`: a command of the service, from this repository. It is built if it was not yet.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { command } from '../base/command.ts';
import { build } from '../build/programs.ts';
import { NODE, SERVICE } from '../paths.ts';

await command(async () => {
  if (!existsSync(SERVICE)) await build();
  const { status, signal } = spawnSync(NODE, [SERVICE, ...process.argv.slice(2)], { stdio: 'inherit' });
  if (signal !== null) process.kill(process.pid, signal);
  return status ?? 1;
});
