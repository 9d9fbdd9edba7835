// SPDX-License-Identifier: Apache-2.0
// Builds the Go programs of tests that are modules of their own and take long to build, once, into the cache.
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { cached, cacheOf } from './cache.ts';

const RECIPE = ['go.mod', 'go.sum', 'main.go'];

/** The program that contains Loki's parser and Grafana's schema. Returns its path. */
export function buildQueries(): Promise<string> {
  return build('queries', 'test/configs/queries', "Loki's parser and Grafana's schema");
}

/** The program that reads Kubernetes manifests with Kubernetes' own types. Returns its path. */
export function buildManifestParser(): Promise<string> {
  return build('manifests', 'test/delivery/kubernetes', 'the parser of Kubernetes manifests');
}

/** Builds the program if it is missing (a minute or more). */
function build(name: string, directory: string, label: string): Promise<string> {
  const sources = join(ROOT, directory);
  const recipe = RECIPE.map((file) => readFileSync(join(sources, file)));
  return cached(cacheOf(name, ...recipe), name, async (cache) => {
    const program = join(cache, name);
    await step(`building ${label} (once; a minute or more)`, () =>
      run('go', ['build', '-trimpath', '-o', `${program}.new`, '.'], {
        cwd: sources,
        env: { CGO_ENABLED: '0' },
        remedy: 'It needs the Go module proxy once; see the output above.',
      }),
    );
    renameSync(`${program}.new`, program);
  });
}
