// SPDX-License-Identifier: Apache-2.0
// Builds what the npm package has in it: the service in dist/, and the loader for both processors in prebuilt/, so that nothing is
// built or fetched where the package is installed.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../paths.ts';
import { buildLoaderFor, buildService } from './programs.ts';

/** The processors, as Node.js and as Go name them. */
export const ARCHS = [
  { node: 'x64', go: 'amd64' },
  { node: 'arm64', go: 'arm64' },
] as const;
export const PREBUILT = join(ROOT, 'prebuilt');

export async function buildPrebuilt(): Promise<void> {
  for (const name of ['dist', 'prebuilt']) rmSync(join(ROOT, name), { recursive: true, force: true });
  await buildService();
  for (const { node, go } of ARCHS) await buildLoaderFor(go, join(PREBUILT, `linux-${node}`, 'whodunit-loader'));
}
