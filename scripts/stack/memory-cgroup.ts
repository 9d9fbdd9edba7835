// SPDX-License-Identifier: Apache-2.0
// A cgroup with a small memory limit, for an OOM kill. Version 1 if that has the memory controller, else version 2.
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../base/command.ts';

const REMOVE_TRIES = 100;
const REMOVE_PAUSE_MS = 10;

function mounts(): { v2: string | undefined; v1: string | undefined } {
  let v2: string | undefined;
  let v1: string | undefined;
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [mount = '', filesystem = ''] = line.split(' - ');
    const path = mount.split(' ')[4];
    const [type, , options = ''] = filesystem.split(' ');
    if (type === 'cgroup2') v2 = path;
    if (type === 'cgroup' && options.split(',').includes('memory')) v1 = path;
  }
  return { v2, v1 };
}

export interface LimitedCgroup {
  readonly directory: string;
  /** Waits until the processes in it are gone. */
  readonly remove: () => Promise<void>;
}

/** `name`: from the root of the hierarchy. What lies above it exists. */
export function limitedCgroup(name: string, limitBytes: number): LimitedCgroup {
  const { v2, v1 } = mounts();
  try {
    const directory = v1 === undefined ? inVersion2(v2, name, limitBytes) : inVersion1(v1, name, limitBytes);
    return { directory, remove: () => remove(directory) };
  } catch (error) {
    throw new Failure(
      `Cannot create a cgroup with a memory limit (${(error as Error).message}), which an OOM kill needs. ` +
        'In a container, the cgroup file system of the host must be writable.',
    );
  }
}

function inVersion1(mount: string, name: string, limitBytes: number): string {
  const directory = join(mount, name);
  mkdirSync(directory);
  writeFileSync(join(directory, 'memory.limit_in_bytes'), String(limitBytes));
  writeIfPresent(join(directory, 'memory.memsw.limit_in_bytes'), String(limitBytes));
  return directory;
}

function inVersion2(mount: string | undefined, name: string, limitBytes: number): string {
  if (mount === undefined) throw new Error('no cgroup file system is mounted');
  const directory = join(mount, name);
  for (const above of new Set([mount, dirname(directory)]))
    writeFileSync(join(above, 'cgroup.subtree_control'), '+memory');
  mkdirSync(directory);
  writeFileSync(join(directory, 'memory.max'), String(limitBytes));
  writeIfPresent(join(directory, 'memory.swap.max'), '0');
  return directory;
}

/** The file exists only on kernels with swap accounting. The limit works without it. */
function writeIfPresent(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {}
}

async function remove(directory: string): Promise<void> {
  for (let i = 0; i < REMOVE_TRIES; i += 1) {
    try {
      rmdirSync(directory);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
      await sleep(REMOVE_PAUSE_MS);
    }
  }
}
