// SPDX-License-Identifier: Apache-2.0
// Builds programs that are Go modules, each once, into the cache: <name>-<version>.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, step } from '../base/run.ts';
import { CACHE } from './cache.ts';

/** The programs, pinned: the module, and the package of the program in it. */
const TOOLS = {
  'docker-compose': { module: 'github.com/docker/compose/v2', version: 'v2.40.3', program: 'cmd' },
  helm: { module: 'helm.sh/helm/v3', version: 'v3.22.0', program: 'cmd/helm' },
  nfpm: { module: 'github.com/goreleaser/nfpm/v2', version: 'v2.45.0', program: 'cmd/nfpm' },
} as const;
export type GoTool = keyof typeof TOOLS;
export const GO_TOOLS = Object.keys(TOOLS) as GoTool[];

/** The path of the program, built when it is missing (minutes). */
export async function buildGoTool(name: GoTool): Promise<string> {
  const { module, version, program } = TOOLS[name];
  const directory = join(CACHE, 'tools');
  const built = join(directory, `${name}-${version}`);
  if (existsSync(built)) return built;
  mkdirSync(directory, { recursive: true });
  const fresh = mkdtempSync(join(directory, 'building-'));
  const remedy = 'It needs the Go module proxy once; the output above says what was missing.';
  try {
    await step(`building ${name} ${version} (once; some minutes)`, async () => {
      // A module that requires it: `go install` refuses those whose go.mod excludes a version.
      await run('go', ['mod', 'init', 'tool'], { cwd: fresh });
      await run('go', ['mod', 'edit', `-require=${module}@${version}`], { cwd: fresh });
      const flags = ['-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', 'built'];
      await run('go', ['build', ...flags, `${module}/${program}`], { cwd: fresh, env: { CGO_ENABLED: '0' }, remedy });
    });
    renameSync(join(fresh, 'built'), built);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return built;
}
