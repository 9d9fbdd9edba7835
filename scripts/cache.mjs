// Where what takes long to make is kept, outside the repository: a directory for each thing, with the hash of what it is made of in
// its name. Another recipe, another directory.
//
// SPDX-License-Identifier: Apache-2.0

import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'whodunit');
const HASH_CHARACTERS = 12;

/** What tells bytes or texts from others, in a name. */
export function hashOf(...madeOf) {
  const hash = createHash('sha256');
  for (const part of madeOf) hash.update(part);
  return hash.digest('hex').slice(0, HASH_CHARACTERS);
}

/** The directory of a thing that is made of these bytes or texts. It need not be there. */
export function cacheOf(name, ...madeOf) {
  return join(CACHE, `${name}-${hashOf(...madeOf)}`);
}

/** Makes it anew: what an attempt that was cut short has left is removed. */
export function emptyCache(directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
}
