// SPDX-License-Identifier: Apache-2.0
// The programs that `whodunit up` starts, and where they are beside the bundle: in the repository, in the packages, in the npm package.
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The Node.js flags of the service, in MiB. Its heap needs about 40. V8 delays garbage collection in proportion to its limits, which by
 * default depend on the machine's memory: without these flags the service keeps 350 MiB after its first storm.
 */
export const SERVICE_FLAGS = ['--max-semi-space-size=16', '--max-old-space-size=256'];

export interface Programs {
  readonly node: string;
  readonly loader: string;
  /** The script. */
  readonly service: string;
}

/** Seen from dist/. In a checkout, prebuilt/ may be older. */
const LOADERS = [
  '../build/whodunit-loader',
  '../whodunit-loader',
  `../prebuilt/linux-${process.arch}/whodunit-loader`,
] as const;

/** Returns null if there is none for this processor. `dist`: the directory of the bundle. */
export function loaderBeside(dist: string): string | null {
  return LOADERS.map((path) => join(dist, path)).find((path) => existsSync(path)) ?? null;
}

/** `script`: main.js, perhaps by a symbolic link. `loader` is null as that of loaderBeside(). */
export function programsOf(script: string): Omit<Programs, 'loader'> & { readonly loader: string | null } {
  const service = realpathSync(script);
  return { node: process.execPath, service, loader: loaderBeside(dirname(service)) };
}

export function noLoader(): string {
  return `this package has no loader for linux-${process.arch}, only for x64 and arm64. To build one, run \`npm run build\` in the repository.`;
}
