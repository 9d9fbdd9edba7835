// SPDX-License-Identifier: Apache-2.0
// The service of another commit, from the cache or built there, with the packages of that commit.
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../base/run.ts';
import { CACHE, cached } from './cache.ts';

/** Returns the path of its main file. `commit`: the whole hash. */
export function buildServiceOf(commit: string): Promise<string> {
  return cached(join(CACHE, `service-of-${commit.slice(0, 12)}`), 'whodunit/dist/main.js', async (directory) => {
    const [archive, sources] = [join(directory, 'archive.tar'), join(directory, 'sources')];
    mkdirSync(sources);
    await run('git', ['archive', '--output', archive, commit]);
    await run('tar', ['--extract', '--file', archive, '--directory', sources]);
    await run('npm', ['run', '--silent', 'build'], { cwd: sources });
    renameSync(sources, join(directory, 'whodunit'));
  });
}
