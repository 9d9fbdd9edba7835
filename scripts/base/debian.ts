// SPDX-License-Identifier: Apache-2.0
// Debian packages that a command needs. In CI, as root, missing ones are installed. On a developer's machine nothing is installed:
// the failure names the command to run.
import { spawnSync } from 'node:child_process';
import { Failure } from './command.ts';
import { isRoot } from './privileges.ts';
import { run, step } from './run.ts';

/** How long to wait for dpkg's lock. */
const LOCK_TIMEOUT_S = 300;

function isInstalled(name: string): boolean {
  const { status, stdout } = spawnSync('dpkg', ['--status', name], { encoding: 'utf8' });
  return status === 0 && /^Status: install ok installed$/m.test(stdout);
}

const SYSTEM_DIRECTORIES = '/usr/sbin:/sbin';

function isOnPath(program: string): boolean {
  const env = { ...process.env, PATH: `${process.env.PATH}:${SYSTEM_DIRECTORIES}` };
  return spawnSync('sh', ['-c', `command -v ${program}`], { env }).status === 0;
}

/** As requirePackages, for programs that need not come from Debian: `packageOf` has the package of each, `packages` what else is needed. */
export async function requirePrograms(
  packageOf: Readonly<Record<string, string>>,
  packages: readonly string[],
  purpose: string,
): Promise<void> {
  const missing = Object.entries(packageOf).filter(([program]) => !isOnPath(program));
  return requirePackages([...new Set([...missing.map(([, name]) => name), ...packages])], purpose);
}

/** Serializes installations: parallel ones would wait for each other's locks. */
let installing: Promise<unknown> = Promise.resolve();

/** Resolves when all packages are installed. Where it must not install, it fails with `purpose` and the command to run. */
export async function requirePackages(names: readonly string[], purpose: string): Promise<void> {
  const turn = installing.then(() => installMissing(names, purpose));
  installing = turn.catch(() => {});
  return turn;
}

async function installMissing(names: readonly string[], purpose: string): Promise<void> {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  const command = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (process.env.CI !== 'true' || !isRoot())
    throw new Failure(`${purpose} needs Debian's ${missing.join(', ')}: ${command}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await step(`installing ${missing.join(' ')}`, async () => {
    await run('apt-get', ['update', '-qq'], { env });
    const patient = ['-o', `DPkg::Lock::Timeout=${LOCK_TIMEOUT_S}`];
    await run('apt-get', [...patient, 'install', '-y', '-qq', '--no-install-recommends', ...missing], { env });
  });
}
