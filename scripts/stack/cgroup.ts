// SPDX-License-Identifier: Apache-2.0
// Cgroups at the paths that container runtimes and systemd make, without these: real directories, with real processes in them.
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { until } from './program.ts';

const EMPTY_WITHIN_MS = 5_000;

export interface Cgroup {
  /** A command that enters it and executes the given one. */
  readonly enter: (command: readonly string[]) => string[];
  /** Removes it, once its processes are gone, and those above it. */
  readonly remove: () => Promise<void>;
}

/** `path`: below a directory of this process's own, of version 1 where that has the memory controller, else of version 2. */
export function makeCgroup(path: string): Cgroup {
  const root = join(mountPoint(), `whodunit-test-${process.pid}`);
  const directory = join(root, path);
  mkdirSync(directory, { recursive: true });
  const enter = (command: readonly string[]) => [
    'sh',
    '-c',
    'echo $$ >"$0/cgroup.procs" && exec "$@"',
    directory,
    ...command,
  ];
  const remove = async () => {
    for (let below = directory; below !== dirname(root); below = dirname(below))
      await until(`${below} is empty`, EMPTY_WITHIN_MS, () => removed(below));
  };
  return { enter, remove };
}

function mountPoint(): string {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const mount =
    mounts.find((line) => / - cgroup .*\bmemory\b/.test(line)) ?? mounts.find((line) => / - cgroup2 /.test(line));
  if (mount === undefined) throw new Error('no cgroup file system is mounted');
  return mount.split(' ')[4] as string;
}

function removed(directory: string): true | undefined {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return undefined;
    throw error;
  }
}
