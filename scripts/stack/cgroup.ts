// SPDX-License-Identifier: Apache-2.0
// Real cgroups with real processes, at the paths that container runtimes and systemd use, without running these.
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { until } from './program.ts';

const EMPTY_WITHIN_MS = 5_000;

export interface Cgroup {
  readonly directory: string;
  /** From the root of its hierarchy, as for WHODUNIT_SCOPE. */
  readonly path: string;
  /** Returns a command that enters the cgroup and executes the given command. */
  readonly enter: (command: readonly string[]) => string[];
  /** Waits until its processes are gone, then removes it and its parents up to the directory of this process. */
  readonly remove: () => Promise<void>;
}

/**
 * Creates the cgroup at `path`, below a directory for this process: in version 1 if that has the memory controller, else in version 2, and
 * always there if that is asked for.
 */
export function makeCgroup(path: string, version?: 'v2'): Cgroup {
  const mount = mountPoint(version);
  const root = join(mount, `whodunit-test-${process.pid}`);
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
  return { directory, path: join('/', relative(mount, directory)), enter, remove };
}

function mountPoint(version?: 'v2'): string {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const first = version === 'v2' ? undefined : mounts.find((line) => / - cgroup .*\bmemory\b/.test(line));
  const mount = first ?? mounts.find((line) => / - cgroup2 /.test(line));
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
