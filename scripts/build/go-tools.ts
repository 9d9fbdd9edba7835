// SPDX-License-Identifier: Apache-2.0
// Builds tools from Go modules, each once, into the cache: <name>-<version>.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run, step } from '../base/run.ts';
import { CACHE } from './cache.ts';

/** The pinned tools: the module, and the path of the main package in it. */
const TOOLS = {
  'docker-compose': { module: 'github.com/docker/compose/v2', version: 'v2.40.3', program: 'cmd' },
  helm: { module: 'helm.sh/helm/v3', version: 'v3.22.0', program: 'cmd/helm' },
  'cyclonedx-gomod': {
    module: 'github.com/CycloneDX/cyclonedx-gomod',
    version: 'v1.10.0',
    program: 'cmd/cyclonedx-gomod',
  },
  nfpm: { module: 'github.com/goreleaser/nfpm/v2', version: 'v2.45.0', program: 'cmd/nfpm' },
} as const;
export type GoTool = keyof typeof TOOLS;
export const GO_TOOLS = Object.keys(TOOLS) as GoTool[];

/** Returns the path of the tool. Builds it if it is missing (minutes). */
export async function buildGoTool(name: GoTool): Promise<string> {
  const { module, version, program } = TOOLS[name];
  const directory = join(CACHE, 'tools');
  const built = join(directory, `${name}-${version}`);
  if (existsSync(built)) return built;
  mkdirSync(directory, { recursive: true });
  const fresh = mkdtempSync(join(directory, 'building-'));
  const remedy = 'It needs the Go module proxy once; see the output above.';
  try {
    await step(`building ${name} ${version} (once; some minutes)`, async () => {
      // Built from a module that requires it: `go install` refuses modules whose go.mod has exclude directives.
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
