// SPDX-License-Identifier: Apache-2.0
// The paths of the project's programs. Most exist only after a build.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Programs } from '../src/io/up/programs.ts';

export { SERVICE_FLAGS } from '../src/io/up/programs.ts';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** The Node.js that runs the service and the scripts: a dependency of the project, so that the system's Node.js may be older. */
export const NODE = join(ROOT, 'node_modules/.bin/node');
export const LOADER = join(ROOT, 'build/whodunit-loader');
export const SERVICE = join(ROOT, 'dist/main.js');
export const PROGRAMS: Programs = { node: NODE, loader: LOADER, service: SERVICE };

/** Test programs. */
export const MORTAL = join(ROOT, 'build/mortal');
export const UNDERTAKER = join(ROOT, 'build/undertaker');
export const REAPER = join(ROOT, 'build/reaper');
/** Runs one attack of test/attacks; the second is a 32-bit (i386) process. */
export const ATTACKER = join(ROOT, 'build/attacker');
export const ATTACKER_32 = join(ROOT, 'build/attacker-32');
/** Makes loads of one kind: for the benchmark, and for bursts of crashes. */
export const LOAD = join(ROOT, 'build/load');
/** The directory of the victims in Java, C, C++ and Rust. */
export const WORLD = join(ROOT, 'build/world');
/** The directory of the programs that test/crashes runs. */
export const CRASHES = join(ROOT, 'build/crashes');
