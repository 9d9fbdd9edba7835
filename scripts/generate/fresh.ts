// SPDX-License-Identifier: Apache-2.0
// Writes generated texts, or with `--check` compares them with what is committed.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../paths.ts';

/** `texts`: path from the root → text. With `--check`, sets exit code 1 if a file is stale. `command`: the command that writes them. */
export function writeOrCheck(texts: Readonly<Record<string, string>>, command: string): void {
  const entries = Object.entries(texts);
  if (process.argv.includes('--check')) {
    const stale = entries.filter(([path, text]) => readFileSync(join(ROOT, path), 'utf8') !== text);
    if (stale.length === 0) return;
    console.error(`stale: ${stale.map(([path]) => path).join(', ')}. Run \`${command}\` and commit the result.`);
    process.exitCode = 1;
    return;
  }
  for (const [path, text] of entries) writeFileSync(join(ROOT, path), text);
  console.log(`wrote ${Object.keys(texts).join(', ')}`);
}
