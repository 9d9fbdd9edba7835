// SPDX-License-Identifier: Apache-2.0
// Files in the state directory that a command writes and the service reads.
import { chownSync, renameSync, statSync, writeFileSync } from 'node:fs';

const FILE_MODE = 0o640;

/** Writes it in one step, and for the owner of the directory, which is the service's user. Throws the error of the file system. */
export function writeForService(stateDirectory: string, path: string, value: object): void {
  const unfinished = `${path}.new`;
  writeFileSync(unfinished, `${JSON.stringify(value)}\n`, { mode: FILE_MODE });
  const { uid, gid } = statSync(stateDirectory);
  if (process.geteuid?.() === 0) chownSync(unfinished, uid, gid);
  renameSync(unfinished, path);
}
