// SPDX-License-Identifier: Apache-2.0
// Builds the backends of the tests from Go modules, each once, into the cache, without their web interfaces, whose files are not in the
// modules. Run as a program with a name, it prints the path.
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { command, Failure } from '../base/command.ts';
import { run, step } from '../base/run.ts';
import { cached, cacheOf } from './cache.ts';

interface Recipe {
  readonly module: string;
  readonly version: string;
  /** The path of the main package in the module. */
  readonly program: string;
  readonly tags?: string;
  /** The replace lines of its own go.mod, which apply only there. */
  readonly replaced?: readonly string[];
}

const BACKENDS = {
  alertmanager: {
    module: 'github.com/prometheus/alertmanager',
    // The newest version that has its web interface in the module, without which it does not build.
    version: 'v0.31.1',
    program: 'cmd/alertmanager',
  },
  jaeger: {
    module: 'github.com/jaegertracing/jaeger',
    // The newest version of the module. The 2.x releases have the same source, but their tags are not valid Go versions of this path.
    version: 'v1.76.0',
    program: 'cmd/all-in-one',
  },
  loki: {
    module: 'github.com/grafana/loki/v3',
    // As in test/configs/queries/go.mod, whose parser checks the queries.
    version: 'v3.7.8',
    program: 'cmd/loki',
    replaced: [
      'github.com/Azure/azure-storage-blob-go=github.com/MasslessParticle/azure-storage-blob-go@v0.14.1-0.20240322194317-344980fda573',
      'github.com/gocql/gocql=github.com/grafana/gocql@v0.0.0-20200605141915-ba5dc39ece85',
      'github.com/hashicorp/memberlist=github.com/grafana/memberlist@v0.3.1-0.20251126142931-6f9f62ab6f86',
      'github.com/grafana/regexp=github.com/grafana/regexp@v0.0.0-20240518133315-a468a5bfb3bc',
      'github.com/influxdata/go-syslog/v3=github.com/leodido/go-syslog/v4@v4.3.0',
      'github.com/thanos-io/objstore=github.com/grafana/objstore@v0.0.0-20250728171719-b5d3b766d1b0',
    ],
  },
  prometheus: {
    module: 'github.com/prometheus/prometheus',
    // Prometheus 3.12: Debian's 2.42 has no OTLP receiver.
    version: 'v0.312.0',
    program: 'cmd/prometheus',
    tags: 'remove_all_sd',
  },
} as const satisfies Record<string, Recipe>;
export type Backend = keyof typeof BACKENDS;

/** The version of the module. */
export function versionOf(name: Backend): string {
  return BACKENDS[name].version;
}

/** Returns the path of the program. Builds it if it is missing (some minutes; Loki ten). */
export function buildBackend(name: Backend): Promise<string> {
  const { module, version, program, tags = '', replaced = [] }: Recipe = BACKENDS[name];
  const main = `${module}/${program}`;
  return cached(cacheOf(name, `${main}@${version}`, tags, ...replaced), name, async (cache) => {
    const remedy = 'It needs the Go module proxy once; see the output above.';
    const edits = [`-require=${module}@${version}`, ...replaced.map((replacement) => `-replace=${replacement}`)];
    const flags = ['-mod=mod', '-trimpath', '-ldflags=-s -w', `-tags=${tags}`, '-o', `${name}.new`];
    await step(`building ${name} ${version} for the tests (once; some minutes)`, async () => {
      await run('go', ['mod', 'init', name], { cwd: cache, remedy });
      await run('go', ['mod', 'edit', ...edits], { cwd: cache, remedy });
      await run('go', ['build', ...flags, main], { cwd: cache, env: { CGO_ENABLED: '0' }, remedy });
    });
    renameSync(join(cache, `${name}.new`), join(cache, name));
  });
}

if (import.meta.main)
  await command(async () => {
    const name = process.argv[2] ?? '';
    if (!Object.hasOwn(BACKENDS, name)) throw new Failure(`Name one of: ${Object.keys(BACKENDS).join(', ')}`);
    console.log(await buildBackend(name as Backend));
    return 0;
  });
