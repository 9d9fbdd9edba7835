// SPDX-License-Identifier: Apache-2.0
// Shows text in $PAGER, as git does: on a terminal, and less(1) ends at once if the text fits the screen.
import { spawn } from 'node:child_process';
import { print } from '../output.ts';

/** sh(1): the command was not found. */
const EXIT_NOT_FOUND = 127;

/** Resolves when the text was written, or the pager was left. `allowed`: not --no-pager. */
export async function page(text: string, allowed: boolean, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const command = env.WHODUNIT_PAGER ?? env.PAGER ?? 'less';
  if (!allowed || process.stdout.isTTY !== true || command === '' || command === 'cat' || env.TERM === 'dumb')
    return print(text);
  const shown = await new Promise<boolean>((resolve) => {
    const pager = spawn('sh', ['-c', command], {
      stdio: ['pipe', 'inherit', 'inherit'],
      env: { ...env, LESS: env.LESS ?? 'FRX', LV: env.LV ?? '-c' },
    });
    pager.on('error', () => resolve(false));
    pager.on('close', (code) => resolve(code !== EXIT_NOT_FOUND));
    pager.stdin.on('error', () => {}); // it was left before the end
    pager.stdin.end(text);
  });
  if (!shown) await print(text);
}
