// SPDX-License-Identifier: Apache-2.0
// Real containers for tests, in the Docker daemon that the undertaker starts (undertaker/world_docker.go). They see this machine's file
// system read-only, and its network.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MORTAL, type Program, startProgram, temporaryDirectory, UNDERTAKER, until } from './program.ts';

const READY_WITHIN_MS = 120_000;
/** The machine's root directory in a container. */
const MACHINE = '/machine';

export interface Container {
  readonly program: Program;
  /** The container's id; undefined until the container exists. */
  readonly id: () => string | undefined;
}

export interface Docker {
  /**
   * Runs a program of this machine in a container: under an init, in the machine's root directory, with only these variables. `options`:
   * further options of `docker run`.
   */
  readonly run: (
    command: readonly string[],
    env: Readonly<Record<string, string>>,
    cwd: string,
    options?: readonly string[],
  ) => Container;
  /** `docker kill`. */
  readonly kill: (name: string) => void;
  readonly stop: () => Promise<void>;
}

export async function startDocker(): Promise<Docker> {
  const keeper = startProgram(UNDERTAKER, ['docker'], { env: { ...process.env, UNDERTAKER_MORTAL: MORTAL } });
  const directory = temporaryDirectory();
  const stop = async () => {
    keeper.child.stdin?.end();
    await keeper.ended;
    directory.remove();
  };
  const answer = await until(
    'the Docker daemon',
    READY_WITHIN_MS,
    () => {
      if (!keeper.alive()) throw new Error(`the undertaker has ended:\n${keeper.output()}`);
      return /^\{.*\}$/m.exec(keeper.stdout())?.[0];
    },
    keeper.output,
  );
  const { client, env: clientEnv, image } = JSON.parse(answer);
  const environment = { ...process.env, ...Object.fromEntries(clientEnv.map((pair: string) => pair.split('='))) };
  let started = 0;
  const run: Docker['run'] = (command, env, cwd, options = []) => {
    started += 1;
    const idFile = join(directory.path, String(started));
    const program = startProgram(
      client[0],
      [
        ...client.slice(1),
        ...['run', ...options, '--init', '--network', 'host', '--cidfile', idFile, '--volume', `/:${MACHINE}:ro`],
        ...Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
        ...[image, '/bin/busybox', 'chroot', MACHINE, '/bin/sh', '-c', 'cd "$0" && exec "$@"', cwd, ...command],
      ],
      { env: environment },
    );
    return { program, id: () => readIfThere(idFile) };
  };
  const kill = (name: string): void => {
    const { status, stderr } = spawnSync(client[0], [...client.slice(1), 'kill', name], {
      encoding: 'utf8',
      env: environment,
    });
    if (status !== 0) throw new Error(`docker kill ${name}: ${stderr}`);
  };
  return { run, kill, stop };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8') || undefined;
  } catch {
    return undefined;
  }
}
