// SPDX-License-Identifier: Apache-2.0
// Makes base images under the names of the public ones in the Dockerfiles, from the output of scripts/build/image-bases.ts.
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Docker } from '../../scripts/stack/docker.ts';
import { ROOT, temporaryDirectory } from '../../scripts/stack/program.ts';

/** The directories of scripts/build/image-bases.ts. */
interface Prepared {
  readonly debian: string;
  readonly go: string;
  readonly node: string;
}

/** The base image of test/delivery/bases/*.Dockerfile. */
const DEBIAN = 'whodunit-bases/debian';

/** An environment variable that `npm run test:delivery` sets. */
export function prepared(
  name:
    | 'WHODUNIT_TEST_BASES'
    | 'WHODUNIT_TEST_MANIFESTS'
    | 'WHODUNIT_TEST_TOOLS'
    | 'WHODUNIT_TEST_COLLECTOR'
    | 'WHODUNIT_TEST_RELEASED'
    | 'WHODUNIT_TEST_OLDEST_LOADER',
): string {
  const text = process.env[name];
  if (text === undefined) throw new Error(`${name} is not set: \`npm run test:delivery\` sets it.`);
  return text;
}

/** The default base image of a Dockerfile: `ARG <name>=…`. */
export function defaultOf(dockerfile: string, name: string): string {
  const found = new RegExp(`^ARG ${name}=(\\S+)$`, 'm').exec(readFileSync(join(ROOT, dockerfile), 'utf8'));
  if (found?.[1] === undefined) throw new Error(`${dockerfile} has no ARG ${name}`);
  return found[1];
}

/** Makes missing images. Images are kept between runs, under the names of the directories that they are made of. */
export function makeBases(docker: Docker, collectorImage: string): void {
  const { debian, go, node }: Prepared = JSON.parse(prepared('WHODUNIT_TEST_BASES'));
  const make = (tags: readonly string[], madeOf: string, how: (tag: string) => void) => {
    const kept = `${DEBIAN}-and:${madeOf}`;
    if (docker.call(['images', '--quiet', kept]).trim() === '') how(kept);
    for (const tag of tags) docker.call(['tag', kept, tag]);
  };
  const build = (name: string, context: string) => (tag: string) =>
    void docker.call([
      'build',
      '--quiet',
      '--file',
      join(ROOT, `test/delivery/bases/${name}.Dockerfile`),
      '--tag',
      tag,
      context,
    ]);

  const base = basename(debian);
  const python = defaultOf('examples/shop/Dockerfile', 'PYTHON_IMAGE');
  make([DEBIAN, python], base, (tag) => {
    const directory = temporaryDirectory();
    const archive = join(directory.path, 'debian.tar');
    const { status, stderr } = spawnSync('tar', ['-C', debian, '-cf', archive, '.'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`tar: ${stderr}`);
    docker.call(['import', archive, tag]);
    directory.remove();
  });
  make([defaultOf('images/loader.Dockerfile', 'GO_IMAGE')], `${base}-${basename(go)}`, build('golang', go));
  make([defaultOf('images/service.Dockerfile', 'NODE_IMAGE')], `${base}-${basename(node)}`, build('node', node));
  const context = temporaryDirectory();
  copyFileSync(prepared('WHODUNIT_TEST_COLLECTOR'), join(context.path, 'collector'));
  build('collector', context.path)(collectorImage);
  context.remove();
}
