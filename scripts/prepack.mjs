// Runs before `npm pack`: the service in dist/, and the loader for both processors in prebuilt/, so that nothing is built or fetched where
// the package is installed.
//
// SPDX-License-Identifier: Apache-2.0

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildLoaderFor, buildService, command, install, ROOT } from './steps.mjs';

/** The processors, as Node.js and as Go name them. */
export const ARCHS = [
  { node: 'x64', go: 'amd64' },
  { node: 'arm64', go: 'arm64' },
];
export const PREBUILT = join(ROOT, 'prebuilt');

export async function prepack() {
  await install();
  for (const name of ['dist', 'prebuilt']) rmSync(join(ROOT, name), { recursive: true, force: true });
  await buildService();
  for (const { node, go } of ARCHS) await buildLoaderFor(go, join(PREBUILT, `linux-${node}`, 'whodunit-loader'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await command(prepack);
