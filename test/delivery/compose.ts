// SPDX-License-Identifier: Apache-2.0
// The project's compose files, as a test uses them: read as docker compose reads them, built, and run on a daemon of the test's own.
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

/** Runs docker compose and returns its standard output. Without a daemon it can only read. */
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
    // It asks the docker client of the PATH for plug-ins.
    env: { ...env, PATH: `/usr/bin:${env.PATH}` },
  });
  if (status !== 0) throw new Error(`docker compose ${args.join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** What the files say together. Only the services of no profile, unless one is named. */
export function project(files: readonly string[], profiles: readonly string[] = []): Project {
  const active = profiles.flatMap((profile) => ['--profile', profile]);
  return JSON.parse(compose(files, [...active, 'config', '--format', 'json']));
}

/** Builds the images that these services are built of, each once, under the names that the file gives them. */
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
