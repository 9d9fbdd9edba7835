// SPDX-License-Identifier: Apache-2.0
// Builds the Loki of the tests from its Go module, once, into the cache. Run as a program, it prints the path.
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../base/command.ts';
import { run, step } from '../base/run.ts';
import { cached, cacheOf } from './cache.ts';

const MODULE = 'github.com/grafana/loki/v3';
/** The version whose parser checks the queries, too (test/configs/queries/go.mod). */
const VERSION = 'v3.7.8';
/** The replace lines of Loki's own go.mod, which apply only there. */
const REPLACED = [
  'github.com/Azure/azure-storage-blob-go=github.com/MasslessParticle/azure-storage-blob-go@v0.14.1-0.20240322194317-344980fda573',
  'github.com/gocql/gocql=github.com/grafana/gocql@v0.0.0-20200605141915-ba5dc39ece85',
  'github.com/hashicorp/memberlist=github.com/grafana/memberlist@v0.3.1-0.20251126142931-6f9f62ab6f86',
  'github.com/grafana/regexp=github.com/grafana/regexp@v0.0.0-20240518133315-a468a5bfb3bc',
  'github.com/influxdata/go-syslog/v3=github.com/leodido/go-syslog/v4@v4.3.0',
  'github.com/thanos-io/objstore=github.com/grafana/objstore@v0.0.0-20250728171719-b5d3b766d1b0',
] as const;

/** Returns the path of Loki. Builds it if it is missing (ten minutes). */
export function buildLoki(): Promise<string> {
  return cached(cacheOf('loki', VERSION, ...REPLACED), 'loki', async (cache) => {
    const remedy = 'It needs the Go module proxy once; see the output above.';
    const edits = [`-require=${MODULE}@${VERSION}`, ...REPLACED.map((replaced) => `-replace=${replaced}`)];
    await step('building Loki for the tests (once; about ten minutes)', async () => {
      await run('go', ['mod', 'init', 'loki'], { cwd: cache, remedy });
      await run('go', ['mod', 'edit', ...edits], { cwd: cache, remedy });
      const flags = ['-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', 'loki.new'];
      await run('go', ['build', ...flags, `${MODULE}/cmd/loki`], { cwd: cache, env: { CGO_ENABLED: '0' }, remedy });
    });
    renameSync(join(cache, 'loki.new'), join(cache, 'loki'));
  });
}

if (import.meta.main)
  await command(async () => {
    console.log(await buildLoki());
    return 0;
  });
