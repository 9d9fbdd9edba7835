// SPDX-License-Identifier: Apache-2.0
// Builds the contents of the npm package: the service in dist/ and the loader for both architectures in prebuilt/. Installing the
// package then builds and downloads nothing.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../paths.ts';
import { buildLoaderFor, buildService } from './programs.ts';

/** The architectures, as Node.js and Go name them. */
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
