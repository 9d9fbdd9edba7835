// SPDX-License-Identifier: Apache-2.0
// Builds the Jaeger of the tests from Go modules, once, into the cache: all of it in one program, with its store in memory, and
// without the pages of its user interface, which are no part of the module. As a program, it prints the path.
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../base/command.ts';
import { run, step } from '../base/run.ts';
import { cached, cacheOf } from './cache.ts';

const MODULE = 'github.com/jaegertracing/jaeger';
/** The newest of the module: what was released as 2.x has the same source and tags that are no Go versions of it. */
const VERSION = 'v1.76.0';
const PROGRAM = `${MODULE}/cmd/all-in-one`;

/** The path of Jaeger, built when it is missing (some minutes). */
export function buildJaeger(): Promise<string> {
  return cached(cacheOf('jaeger', `${PROGRAM}@${VERSION}`), 'jaeger', async (cache) => {
    const remedy = 'It needs the Go module proxy once; the output above says what was missing.';
    await step('building the Jaeger of the tests (once; some minutes)', async () => {
      await run('go', ['mod', 'init', 'jaeger'], { cwd: cache, remedy });
      await run('go', ['mod', 'edit', `-require=${MODULE}@${VERSION}`], { cwd: cache, remedy });
      await run('go', ['build', '-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', 'jaeger.new', PROGRAM], {
        cwd: cache,
        env: { CGO_ENABLED: '0' },
        remedy,
      });
    });
    renameSync(join(cache, 'jaeger.new'), join(cache, 'jaeger'));
  });
}

if (import.meta.main)
  await command(async () => {
    console.log(await buildJaeger());
    return 0;
  });
