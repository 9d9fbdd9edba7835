// Builds the program of test/configs/queries/, which holds Loki's own parser and Grafana's own schema, once, into a cache outside the
// repository. The directory's name has the hash of what it is made of in it.
//
// SPDX-License-Identifier: Apache-2.0

import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cacheOf, emptyCache } from './cache.mjs';
import { ROOT, run, step } from './steps.mjs';

const SOURCES = join(ROOT, 'test/configs/queries');
const MADE_OF = ['go.mod', 'go.sum', 'main.go'];

/** The path of the program, built when it is missing (a minute or more). */
export async function queries() {
  const cache = cacheOf('queries', ...MADE_OF.map((name) => readFileSync(join(SOURCES, name))));
  const program = join(cache, 'queries');
  if (existsSync(program)) return program;
  emptyCache(cache);
  await step("building Loki's parser and Grafana's schema (once; a minute or more)", () =>
    run('go', ['build', '-trimpath', '-o', `${program}.new`, '.'], {
      cwd: SOURCES,
      env: { CGO_ENABLED: '0' },
      remedy: 'It needs the Go module proxy once; the output above says what was missing.',
    }),
  );
  renameSync(`${program}.new`, program);
  return program;
}
