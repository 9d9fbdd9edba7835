// SPDX-License-Identifier: Apache-2.0
// What of others is in the programs: npm packages in the bundles, Go modules in a loader. notices.ts has their licences, sbom.ts lists them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';
import { run } from '../base/run.ts';
import { ROOT } from '../paths.ts';

/** Something with a licence. */
export interface Part {
  readonly name: string;
  readonly version: string;
  /** Has the text of the licence. */
  readonly directory: string;
}

const PACKAGE = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;

/** Returns the npm packages of which something is in the bundles. */
export function npmParts(metafiles: readonly Metafile[]): Part[] {
  const outputs = metafiles.flatMap((metafile) => Object.values(metafile.outputs));
  const inputs = outputs.flatMap((output) => Object.entries(output.inputs));
  const used = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  const directories = new Set(used.flatMap(([path]) => PACKAGE.exec(path)?.[0] ?? []));
  return [...directories].sort().map((path) => {
    const directory = join(ROOT, path);
    const { name, version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    return { name, version, directory };
  });
}

/** Returns Go, and the modules that a program was built from. */
export async function goParts(program: string): Promise<Part[]> {
  const information = await run('go', ['version', '-m', program]);
  const modules = [...information.matchAll(/^\tdep\t(\S+)\t(\S+)/gm)];
  const paths = modules.map(([, path = '']) => path);
  const directories = (await run('go', ['list', '-m', '-f', '{{.Dir}}', ...paths])).trim().split('\n');
  const goRoot = (await run('go', ['env', 'GOROOT'])).trim();
  return [
    { name: 'Go', version: /: go(\S+)/.exec(information)?.[1] ?? '', directory: goRoot },
    ...modules.map(([, name = '', version = ''], position) => ({
      name,
      version,
      directory: directories[position] ?? '',
    })),
  ];
}
