// Builds the OpenTelemetry Collectors of the tests with their own builder, once, into a cache outside the repository.
// The directory's name has the hash of the manifest in it: another manifest, another collector.
//
// SPDX-License-Identifier: Apache-2.0

import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheOf, emptyCache } from './cache.mjs';
import { command, ROOT, run, step } from './steps.mjs';

/** The small one, of most tests, and the one with all that otel-config/ names. */
const MANIFEST = join(ROOT, 'test/collector/builder.yaml');
export const CONFIGS_MANIFEST = join(ROOT, 'test/configs/builder.yaml');
const BUILDER = 'go.opentelemetry.io/collector/cmd/builder';

/** The path of the manifest's collector, built when it is missing (a minute or more). */
export async function collector(path = MANIFEST) {
  const manifest = readFileSync(path);
  const cache = cacheOf('collector', manifest);
  const binary = join(cache, 'collector');
  if (existsSync(binary)) return binary;

  const text = manifest.toString();
  const version = /^ {2}version: (\S+)$/m.exec(text)[1];
  const modules = Array.from(text.matchAll(/ gomod: (\S+) (\S+)/g), ([, path, at]) => `${path}@${at}`);
  modules.push(`go.opentelemetry.io/collector/otelcol@v${version}`);
  const generated = join(cache, 'generated');
  const remedy = 'It needs the Go module proxy once; the output above says what was missing.';
  emptyCache(cache);
  await step('generating the OpenTelemetry Collector of the tests', async () => {
    const flags = ['--skip-get-modules', '--skip-compilation'];
    await run('go', ['run', `${BUILDER}@v${version}`, '--config', path, ...flags], { cwd: cache, remedy });
    // The builder would tidy the module, and so ask for what only the tests of its components need. A build needs less.
    await run('go', ['mod', 'init', 'collector'], { cwd: generated });
    await run('go', ['mod', 'edit', ...modules.map((module) => `-require=${module}`)], { cwd: generated });
  });
  await step('building it (once; a minute or more)', () =>
    run('go', ['build', '-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', 'collector.new', '.'], {
      cwd: generated,
      env: { CGO_ENABLED: '0' },
      remedy,
    }),
  );
  renameSync(join(generated, 'collector.new'), binary);
  return binary;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await command(async () => console.log(await collector()));
}
