// Builds the OpenTelemetry Collector of the tests with its own builder, once, into a cache outside the repository.
// The directory's name has the hash of the manifest in it: another manifest, another collector.
//
// SPDX-License-Identifier: Apache-2.0

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { command, ROOT, run, step } from './steps.mjs';

const MANIFEST = join(ROOT, 'test/collector/builder.yaml');
const BUILDER = 'go.opentelemetry.io/collector/cmd/builder';
const HASH_CHARACTERS = 12;

/** The path of the collector, built when it is missing (a minute or more). */
export async function collector() {
  const manifest = readFileSync(MANIFEST);
  const hash = createHash('sha256').update(manifest).digest('hex').slice(0, HASH_CHARACTERS);
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'whodunit', `collector-${hash}`);
  const binary = join(cache, 'collector');
  if (existsSync(binary)) return binary;

  const text = manifest.toString();
  const version = /^ {2}version: (\S+)$/m.exec(text)[1];
  const modules = Array.from(text.matchAll(/ gomod: (\S+) (\S+)/g), ([, path, at]) => `${path}@${at}`);
  modules.push(`go.opentelemetry.io/collector/otelcol@v${version}`);
  const generated = join(cache, 'generated');
  const remedy = 'It needs the Go module proxy once; the output above says what was missing.';
  rmSync(cache, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  await step('generating the OpenTelemetry Collector of the tests', async () => {
    const flags = ['--skip-get-modules', '--skip-compilation'];
    await run('go', ['run', `${BUILDER}@v${version}`, '--config', MANIFEST, ...flags], { cwd: cache, remedy });
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
