// SPDX-License-Identifier: Apache-2.0
// The packages of another commit, from the cache or built there, by that commit's own scripts.
import { copyFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { CACHE, cached, emptyDirectory } from './cache.ts';

/** The release before this one: what upgrades begin with. */
export const RELEASED = 'b068f035e6fb6df900b123773cdf4e9433c064c0';
const FOR_X86 = /(?:_amd64\.deb|\.x86_64\.rpm)$/;

/** Returns the directory with the .deb and the .rpm for x86-64. Fails if this clone lacks the commit. `commit`: a full hash. */
export function packagesOf(commit: string): Promise<string> {
  const directory = join(CACHE, `packages-of-${commit.slice(0, 12)}`);
  return cached(directory, 'packages', (cache) =>
    step(`making the packages of ${commit.slice(0, 12)} (once)`, async () => {
      const sources = join(cache, 'sources');
      await run('git', ['clone', '--quiet', '--no-checkout', ROOT, sources]);
      await run('git', ['-C', sources, 'checkout', '--quiet', commit]);
      await run('npm', ['run', '--silent', 'package'], {
        cwd: sources,
        remedy: 'It needs the npm registry once; see the output above.',
      });
      const made = join(sources, 'build/packages');
      const staged = join(cache, 'staged');
      emptyDirectory(staged);
      for (const name of readdirSync(made).filter((name) => FOR_X86.test(name)))
        copyFileSync(join(made, name), join(staged, name));
      rmSync(sources, { recursive: true });
      renameSync(staged, join(cache, 'packages'));
    }),
  );
}
