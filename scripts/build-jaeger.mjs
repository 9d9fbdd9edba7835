// Builds the Jaeger of the tests from Go modules, once, into a cache outside the repository: all of it in one program, with its store in
// memory, and without the pages of its user interface, which are no part of the module.
//
// SPDX-License-Identifier: Apache-2.0

import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheOf, emptyCache } from './cache.mjs';
import { command, run, step } from './steps.mjs';

const MODULE = 'github.com/jaegertracing/jaeger';
/** The newest of the module: what was released as 2.x has the same source and tags that are no Go versions of it. */
const VERSION = 'v1.76.0';
const PROGRAM = `${MODULE}/cmd/all-in-one`;

/** The path of Jaeger, built when it is missing (some minutes). */
export async function jaeger() {
  const cache = cacheOf('jaeger', `${PROGRAM}@${VERSION}`);
  const binary = join(cache, 'jaeger');
  if (existsSync(binary)) return binary;
  const remedy = 'It needs the Go module proxy once; the output above says what was missing.';
  emptyCache(cache);
  await step('building the Jaeger of the tests (once; some minutes)', async () => {
    await run('go', ['mod', 'init', 'jaeger'], { cwd: cache, remedy });
    await run('go', ['mod', 'edit', `-require=${MODULE}@${VERSION}`], { cwd: cache, remedy });
    await run('go', ['build', '-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', 'jaeger.new', PROGRAM], {
      cwd: cache,
      env: { CGO_ENABLED: '0' },
      remedy,
    });
  });
  renameSync(join(cache, 'jaeger.new'), binary);
  return binary;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await command(async () => console.log(await jaeger()));
}
