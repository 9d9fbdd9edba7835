// SPDX-License-Identifier: Apache-2.0
// Builds the Jaeger of the tests from Go modules, once, into the cache: the all-in-one program, with in-memory storage and without the
// web interface, whose files are not in the module. Run as a program, it prints the path.
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../base/command.ts';
import { run, step } from '../base/run.ts';
import { cached, cacheOf } from './cache.ts';

const MODULE = 'github.com/jaegertracing/jaeger';
/** The newest version of the module. The 2.x releases have the same source, but their tags are not valid Go versions of this path. */
const VERSION = 'v1.76.0';
const PROGRAM = `${MODULE}/cmd/all-in-one`;

/** Returns the path of Jaeger. Builds it if it is missing (some minutes). */
export function buildJaeger(): Promise<string> {
  return cached(cacheOf('jaeger', `${PROGRAM}@${VERSION}`), 'jaeger', async (cache) => {
    const remedy = 'It needs the Go module proxy once; see the output above.';
    await step('building Jaeger for the tests (once; some minutes)', async () => {
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
