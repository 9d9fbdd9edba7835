// SPDX-License-Identifier: Apache-2.0
// Builds the OpenTelemetry Collectors of the tests with the official builder, once, into the cache. Run as a program, it prints the path.
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../base/command.ts';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { cached, cacheOf } from './cache.ts';

/** The small collector of most tests, and the one with every component that otel-config/ uses. */
const MANIFEST = join(ROOT, 'test/collector/builder.yaml');
export const CONFIGS_MANIFEST = join(ROOT, 'test/configs/builder.yaml');
const BUILDER = 'go.opentelemetry.io/collector/cmd/builder';

/** Returns the path of the manifest's collector. Builds it if it is missing (a minute or more). */
export function buildCollector(manifestPath = MANIFEST): Promise<string> {
  const manifest = readFileSync(manifestPath);
  return cached(cacheOf('collector', manifest), 'collector', async (cache) => {
    const text = manifest.toString();
    const version = /^ {2}version: (\S+)$/m.exec(text)?.[1];
    const modules = Array.from(text.matchAll(/ gomod: (\S+) (\S+)/g), ([, path, at]) => `${path}@${at}`);
    modules.push(`go.opentelemetry.io/collector/otelcol@v${version}`);
    const generated = join(cache, 'generated');
    const remedy = 'It needs the Go module proxy once; see the output above.';
    await step('generating an OpenTelemetry Collector for the tests', async () => {
      const flags = ['--skip-get-modules', '--skip-compilation'];
      await run('go', ['run', `${BUILDER}@v${version}`, '--config', manifestPath, ...flags], { cwd: cache, remedy });
      // The builder would run `go mod tidy`, which also downloads the test dependencies of its components.
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
    renameSync(join(generated, 'collector.new'), join(cache, 'collector'));
  });
}

if (import.meta.main)
  await command(async () => {
    console.log(await buildCollector());
    return 0;
  });
