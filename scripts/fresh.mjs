// Generated texts: written, or with `--check` compared with what is committed.
//
// SPDX-License-Identifier: Apache-2.0

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './steps.mjs';

/** `texts`: path from the root → text. Ends the process with 1 if `--check` finds a stale one; `command` writes them. */
export function writeOrCheck(texts, command) {
  const paths = Object.keys(texts);
  if (process.argv.includes('--check')) {
    const stale = paths.filter((path) => readFileSync(join(ROOT, path), 'utf8') !== texts[path]);
    if (stale.length === 0) return;
    console.error(`stale: ${stale.join(', ')}. Run \`${command}\` and commit the result.`);
    process.exitCode = 1;
    return;
  }
  for (const path of paths) writeFileSync(join(ROOT, path), texts[path]);
  console.log(`wrote ${paths.join(', ')}`);
}
