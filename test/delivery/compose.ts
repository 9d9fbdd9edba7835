// SPDX-License-Identifier: Apache-2.0
// Runs docker compose on the compose files of the project: reads them, builds images, and runs services on the daemon of the test.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Docker } from '../../scripts/stack/docker.ts';
import { ROOT } from '../../scripts/stack/program.ts';
import { prepared } from './bases.ts';

interface Service {
  readonly image: string;
  readonly build?: { readonly dockerfile: string; readonly target?: string };
}

export interface Project {
  readonly services: Readonly<Record<string, Service>>;
}

/** Runs docker compose and returns its standard output. Without a daemon it can only read the files. */
export function compose(
  files: readonly string[],
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): string {
  const { 'docker-compose': program } = JSON.parse(prepared('WHODUNIT_TEST_TOOLS'));
  const named = files.flatMap((file) => ['--file', file]);
  const { status, stdout, stderr } = spawnSync(program, ['--project-directory', ROOT, ...named, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    // docker compose searches plug-ins with the docker client of PATH.
    env: { ...env, PATH: `/usr/bin:${env.PATH}` },
  });
  if (status !== 0) throw new Error(`docker compose ${args.join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** The merged files. Without services of profiles, unless these are named. */
export function project(files: readonly string[], profiles: readonly string[] = []): Project {
  const active = profiles.flatMap((profile) => ['--profile', profile]);
  return JSON.parse(compose(files, [...active, 'config', '--format', 'json']));
}

/** Builds the images of these services, each once, under the names in the file. */
export function buildImages(
  docker: Docker,
  { services }: Project,
  names: readonly string[],
  flags: readonly string[] = [],
): void {
  const built = new Set<string>();
  for (const name of names) {
    const { image, build } = services[name] ?? {};
    if (image === undefined || build === undefined || built.has(image)) continue;
    built.add(image);
    const target = build.target === undefined ? [] : ['--target', build.target];
    docker.call([
      'build',
      '--quiet',
      '--file',
      join(ROOT, build.dockerfile),
      '--tag',
      image,
      ...target,
      ...flags,
      ROOT,
    ]);
  }
}
