// SPDX-License-Identifier: Apache-2.0
// Files in the state directory that a command writes and the service reads. The command may be root's, and the directory the service's: what
// that user put there leads root to no other file.
import { closeSync, fchownSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { openNew } from './history/segments.ts';

/** Writes it in one step, and for the owner of the directory, which is the service's user. Throws the error of the file system. */
export function writeForService(stateDirectory: string, path: string, value: object): void {
  const unfinished = `${path}.new`;
  rmSync(unfinished, { force: true });
  const fd = openNew(unfinished);
  try {
    writeFileSync(fd, `${JSON.stringify(value)}\n`);
    const { uid, gid } = statSync(stateDirectory);
    if (process.geteuid?.() === 0) fchownSync(fd, uid, gid);
  } finally {
    closeSync(fd);
  }
  renameSync(unfinished, path);
}
