// Debian packages that a command of the project needs and that the machine may not have. In CI, as root, they are installed; on
// somebody's own machine nothing is: the failure says what to install.
//
// SPDX-License-Identifier: Apache-2.0

import { spawnSync } from 'node:child_process';
import { isRoot } from './privileges.mjs';
import { Failure, run, step } from './steps.mjs';

/** How long another apt may hold dpkg's lock: it installs something, and will be done. */
const LOCK_TIMEOUT_S = 300;

function isInstalled(name) {
  const { status, stdout } = spawnSync('dpkg', ['--status', name], { encoding: 'utf8' });
  return status === 0 && /^Status: install ok installed$/m.test(stdout);
}

/** Which of the packages are missing here. All of them where there is no dpkg. */
export function missingPackages(names) {
  return names.filter((name) => !isInstalled(name));
}

/** Resolves when all the packages are installed. Fails with `purpose` and the command to type where it may not install. */
export async function requirePackages(names, purpose) {
  const missing = missingPackages(names);
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
