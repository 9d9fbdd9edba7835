// SPDX-License-Identifier: Apache-2.0
// Makes the contents of the public base images, so that the tests build images without a registry and without a network: Debian from
// debootstrap, this machine's Go, the project's Node.js, npm, and the modules and packages of the two lock files. Made once, into a cache
// outside the repository; test/delivery/ makes images with the public names from it (test/delivery/bases/).
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { requirePackages } from '../base/debian.ts';
import { run, step } from '../base/run.ts';
import { NODE, ROOT } from '../paths.ts';
import { CACHE, emptyDirectory, hashOf } from './cache.ts';
import { mirrors } from './kernel-images.ts';

const SUITE = 'trixie';
/** A compiler and Python for the example shop, systemd for the units and the package. */
const INCLUDED = ['ca-certificates', 'gcc', 'libc6-dev', 'python3', 'libstdc++6', 'systemd', 'dbus'];
const NPM = 'npm@11.21.2';

/** Hashes the parts with a separator, so that different lists never have the same bytes. */
const hashOfAll = (...parts: (string | Buffer)[]) => hashOf(...parts.flatMap((part) => [part, '\0']));
const readRoot = (name: string) => readFileSync(join(ROOT, name));

/** Returns a directory of the cache. If it is missing, `make` fills a temporary one, which is then renamed. */
async function cachedImage(name: string, label: string, make: (directory: string) => Promise<void>): Promise<string> {
  const directory = join(CACHE, 'images', name);
  if (existsSync(directory)) return directory;
  const fresh = `${directory}.new`;
  emptyDirectory(fresh);
  await step(label, () => make(fresh));
  renameSync(fresh, directory);
  return directory;
}

async function debian(): Promise<string> {
  return cachedImage(
    `${SUITE}-${hashOfAll(...INCLUDED)}`,
    `bootstrapping Debian ${SUITE} (once; some minutes)`,
    async (to) => {
      const include = `--include=${INCLUDED.join(',')}`;
      const remedy = "Debian's mirror could not be read; see the output above.";
      await run('debootstrap', ['--variant=minbase', include, SUITE, to, mirrors().main], { remedy });
      for (const left of ['var/cache/apt/archives', 'var/lib/apt/lists', 'debootstrap'])
        rmSync(join(to, left), { recursive: true, force: true });
    },
  );
}

async function go(): Promise<string> {
  const version = (await run('go', ['env', 'GOVERSION'])).trim();
  const goRoot = realpathSync((await run('go', ['env', 'GOROOT'])).trim());
  const name = `${version}-${hashOfAll(readRoot('go.mod'), readRoot('go.sum'))}`;
  return cachedImage(name, 'copying Go and its modules for images', async (to) => {
    const wanted = (path: string) => !/^\/(?:test|api|doc)$/.test(path.slice(goRoot.length));
    cpSync(goRoot, join(to, 'go'), { recursive: true, filter: wanted, verbatimSymlinks: true });
    await run('go', ['mod', 'download'], { env: { GOMODCACHE: join(to, 'downloaded'), GOFLAGS: '-modcacherw' } });
    renameSync(join(to, 'downloaded/cache/download'), join(to, 'modules'));
    rmSync(join(to, 'downloaded'), { recursive: true, force: true });
  });
}

async function node(): Promise<string> {
  const name = `node-${hashOfAll(NPM, readRoot('package-lock.json'))}`;
  return cachedImage(name, 'fetching npm and the packages of package-lock.json for images', async (to) => {
    const remedy = 'It needs the npm registry once; see the output above.';
    const quiet = ['--no-audit', '--no-fund', '--ignore-scripts'];
    await run('npm', ['install', '--prefix', join(to, 'installed'), ...quiet, NPM], { remedy });
    renameSync(join(to, 'installed/node_modules/npm'), join(to, 'npm'));
    rmSync(join(to, 'installed'), { recursive: true });
    copyFileSync(NODE, join(to, 'node')); // cpSync() of Node 24 treats a symbolic link to a file as a directory
    const trial = join(to, 'trial');
    mkdirSync(trial);
    for (const file of ['package.json', 'package-lock.json']) cpSync(join(ROOT, file), join(trial, file));
    await run(join(to, 'node'), [join(to, 'npm/bin/npm-cli.js'), 'ci', '--cache', join(to, 'packages'), ...quiet], {
      cwd: trial,
      remedy,
    });
    rmSync(trial, { recursive: true });
  });
}

/** Returns the directories. Makes those that are missing. */
export async function prepareImageBases(): Promise<{ debian: string; go: string; node: string }> {
  await requirePackages(['debootstrap'], 'The test of the images');
  return { debian: await debian(), go: await go(), node: await node() };
}
