// SPDX-License-Identifier: Apache-2.0
// Builds the contents of the npm package: the service in dist/, and the loader for both architectures in prebuilt/, with the licences of what
// is in them. Installing the package then builds and downloads nothing.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../paths.ts';
import { goParts, npmParts, type Part } from './contents.ts';
import { notices } from './notices.ts';
import { buildLoaderFor, buildService } from './programs.ts';

/** The architectures, as Node.js and Go name them. */
export const ARCHS = [
  { node: 'x64', go: 'amd64' },
  { node: 'arm64', go: 'arm64' },
] as const;
export const PREBUILT = join(ROOT, 'prebuilt');
export const NOTICES = 'THIRD-PARTY-NOTICES';

/** Returns the npm packages in the bundles. */
export async function buildPrebuilt(): Promise<readonly Part[]> {
  for (const name of ['dist', 'prebuilt']) rmSync(join(ROOT, name), { recursive: true, force: true });
  const npm = npmParts(await buildService());
  const go: Part[] = [];
  for (const arch of ARCHS) {
    const loader = join(PREBUILT, `linux-${arch.node}`, 'whodunit-loader');
    await buildLoaderFor(arch.go, loader);
    go.push(...(await goParts(loader)));
  }
  writeFileSync(join(PREBUILT, NOTICES), notices([...npm, ...go]));
  return npm;
}
