// SPDX-License-Identifier: Apache-2.0
// Builds the project's programs: the loader, the service, and the test programs.
import type { Metafile } from 'esbuild';
import { requirePackages } from '../base/debian.ts';
import { run, step } from '../base/run.ts';
import { ATTACKER, ATTACKER_32, LOAD, LOADER, MORTAL, REAPER, UNDERTAKER } from '../paths.ts';
import { buildPage } from './page.ts';
import { bundleService } from './service.ts';

interface GoBuild {
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export async function buildGo(
  what: string,
  output: string,
  directory: string,
  { flags = [], env = {} }: GoBuild = {},
): Promise<void> {
  await step(`building ${what}`, () =>
    run('go', ['build', '-trimpath', '-buildvcs=false', ...flags, '-o', output, directory], {
      env: { CGO_ENABLED: '0', ...env },
      remedy: 'If the output above mentions a download, the Go module proxy could not be reached.',
    }),
  );
}

const LOADER_FLAGS = ['-ldflags=-s -w'];
export const buildLoader = () => buildGo('the loader (Go)', LOADER, './loader', { flags: LOADER_FLAGS });
/** Cross-compiles the loader. `arch`: as Go names it. */
export const buildLoaderFor = (arch: string, output: string) =>
  buildGo(`the loader for ${arch}`, output, './loader', { flags: LOADER_FLAGS, env: { GOOS: 'linux', GOARCH: arch } });
export const buildMortal = () => buildGo('the example victims (Go)', MORTAL, './examples/mortal');
export const buildReaper = () => buildGo('the reaper (Go)', REAPER, './test/chaos/reaper');
export const buildUndertaker = () => buildGo('the undertaker (Go)', UNDERTAKER, './test/deaths/undertaker');

const ATTACKER_SOURCES = './test/attacks/attacker';
export async function buildAttackers(): Promise<void> {
  await buildGo('the attacker (Go)', ATTACKER, ATTACKER_SOURCES);
  if (process.arch === 'x64')
    await buildGo('the 32-bit attacker', ATTACKER_32, ATTACKER_SOURCES, { env: { GOARCH: '386' } });
}

const LOAD_FLAGS = ['-O2', '-Wall', '-Wextra', '-Werror', '-static', '-pthread'];
/** Builds the program that makes loads (bench/load/load.c). */
export async function buildLoad(): Promise<void> {
  await requirePackages(['gcc', 'libc6-dev'], 'Building a program in C');
  await step('building the load generator (C)', () => run('gcc', [...LOAD_FLAGS, '-o', LOAD, 'bench/load/load.c']));
}

/** Returns what is in the bundles. */
export async function buildService(): Promise<Metafile[]> {
  const service = await step('building the service (esbuild)', bundleService);
  return [service, await step('building its page (esbuild)', buildPage)];
}

/** Builds the loader into build/ and the service with its page into dist/. */
export async function build(): Promise<void> {
  await buildLoader();
  await buildService();
}
