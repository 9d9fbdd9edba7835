// SPDX-License-Identifier: Apache-2.0
// Installs the supervisors of test/story/loops.test.ts that Debian does not have, once, in the cache. Run as a program, it prints the path of pm2.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { command } from '../base/command.ts';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { cached, cacheOf } from './cache.ts';

const SUPERVISORS = join(ROOT, 'test/story/supervisors');
const RECIPE = ['package.json', 'package-lock.json'];

/** Returns the path of pm2. Installs it if it is missing. */
export async function prepareSupervisors(): Promise<string> {
  const directory = cacheOf('supervisors', ...RECIPE.map((name) => readFileSync(join(SUPERVISORS, name))));
  const done = await cached(directory, 'done', async (cache) => {
    for (const name of RECIPE) copyFileSync(join(SUPERVISORS, name), join(cache, name));
    await step('installing pm2 (once)', () =>
      run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], {
        cwd: cache,
        remedy: 'It needs the npm registry once; see the output above.',
      }),
    );
    writeFileSync(join(cache, 'done'), '');
  });
  return join(dirname(done), 'node_modules/.bin/pm2');
}

if (import.meta.main)
  await command(async () => {
    console.log(await prepareSupervisors());
    return 0;
  });
