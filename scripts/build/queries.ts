// SPDX-License-Identifier: Apache-2.0
// Builds the program of test/configs/queries/, which contains Loki's parser and Grafana's schema, once, into the cache.
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { cached, cacheOf } from './cache.ts';

const SOURCES = join(ROOT, 'test/configs/queries');
const RECIPE = ['go.mod', 'go.sum', 'main.go'];

/** Returns the path of the program. Builds it if it is missing (a minute or more). */
export function buildQueries(): Promise<string> {
  const directory = cacheOf('queries', ...RECIPE.map((name) => readFileSync(join(SOURCES, name))));
  return cached(directory, 'queries', async (cache) => {
    const program = join(cache, 'queries');
    await step("building Loki's parser and Grafana's schema (once; a minute or more)", () =>
      run('go', ['build', '-trimpath', '-o', `${program}.new`, '.'], {
        cwd: SOURCES,
        env: { CGO_ENABLED: '0' },
        remedy: 'It needs the Go module proxy once; see the output above.',
      }),
    );
    renameSync(`${program}.new`, program);
  });
}
