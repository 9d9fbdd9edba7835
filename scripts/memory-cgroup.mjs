// A cgroup with a small memory limit, for the one death that needs it. Version 1 where that has the memory controller, else 2.
//
// SPDX-License-Identifier: Apache-2.0

import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from './steps.mjs';

const REMOVE_TRIES = 100;
const REMOVE_PAUSE_MS = 10;

function mounts() {
  let v2;
  let v1;
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [mount = '', filesystem = ''] = line.split(' - ');
    const path = mount.split(' ')[4];
    const [type, , options = ''] = filesystem.split(' ');
    if (type === 'cgroup2') v2 = path;
    if (type === 'cgroup' && options.split(',').includes('memory')) v1 = path;
  }
  return { v2, v1 };
}

/** Makes it. Gives its directory and the way to remove it, which waits until the dead have left. */
export function limitedCgroup(name, limitBytes) {
  const { v2, v1 } = mounts();
  try {
    const directory = v1 === undefined ? inVersion2(v2, name, limitBytes) : inVersion1(v1, name, limitBytes);
    return { directory, remove: () => remove(directory) };
  } catch (error) {
    throw new Failure(
      `No cgroup with a memory limit can be made here (${error.message}), so nothing can run out of memory. ` +
        'In a container, this needs the host’s cgroups, writable.',
    );
  }
}

function inVersion1(mount, name, limitBytes) {
  const directory = join(mount, name);
  mkdirSync(directory);
  writeFileSync(join(directory, 'memory.limit_in_bytes'), String(limitBytes));
  writeIfThere(join(directory, 'memory.memsw.limit_in_bytes'), String(limitBytes));
  return directory;
}

function inVersion2(mount, name, limitBytes) {
  if (mount === undefined) throw new Error('no cgroup file system is mounted');
  writeFileSync(join(mount, 'cgroup.subtree_control'), '+memory');
  const directory = join(mount, name);
  mkdirSync(directory);
  writeFileSync(join(directory, 'memory.max'), String(limitBytes));
  writeIfThere(join(directory, 'memory.swap.max'), '0');
  return directory;
}

/** Swap is accounted on some kernels only; without it the limit is reached all the same. */
function writeIfThere(path, text) {
  try {
    writeFileSync(path, text);
  } catch {}
}

async function remove(directory) {
  for (let i = 0; i < REMOVE_TRIES; i += 1) {
    try {
      rmdirSync(directory);
      return;
    } catch (error) {
      if (error.code !== 'EBUSY') throw error;
      await sleep(REMOVE_PAUSE_MS);
    }
  }
}
