// SPDX-License-Identifier: Apache-2.0
// Where the project's own programs are, once they are built.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** The Node.js that runs the service and the scripts: a dependency of the project, so that the system's may be older. */
export const NODE = join(ROOT, 'node_modules/.bin/node');
/**
 * The flags that the service runs with, in MiB. Its heap needs some 40. V8 delays garbage collection according to what it may use, by
 * default a share of the machine's memory: the service would keep 350 MiB after its first storm.
 */
export const SERVICE_FLAGS = ['--max-semi-space-size=16', '--max-old-space-size=256'];
export const LOADER = join(ROOT, 'build/whodunit-loader');
export const SERVICE = join(ROOT, 'dist/main.js');

/** The programs of the tests. */
export const MORTAL = join(ROOT, 'build/mortal');
export const UNDERTAKER = join(ROOT, 'build/undertaker');
export const REAPER = join(ROOT, 'build/reaper');
/** The directory of the victims in Java, C, C++ and Rust. */
export const WORLD = join(ROOT, 'build/world');
