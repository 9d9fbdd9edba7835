// SPDX-License-Identifier: Apache-2.0
// The cache outside the repository, for what takes long to make: a directory for each thing, with the hash of its recipe in its name.
// Another recipe, another directory.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'whodunit');
const HASH_CHARACTERS = 12;

/** A short hash of bytes or texts, to be used in names. */
export function hashOf(...recipe: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of recipe) hash.update(part);
  return hash.digest('hex').slice(0, HASH_CHARACTERS);
}

/** The directory in the cache of a thing with this recipe. It need not exist. */
export function cacheOf(name: string, ...recipe: readonly (string | Buffer)[]): string {
  return join(CACHE, `${name}-${hashOf(...recipe)}`);
}

/** What is being made now, by path: what two stages need at the same time is made once. */
const making = new Map<string, Promise<string>>();

/**
 * The path of `product` in the directory. Where it is missing, the directory is emptied, and `make` fills it: the product comes last,
 * in one step, so that what an interrupted attempt leaves is never used.
 */
export function cached(
  directory: string,
  product: string,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const path = join(directory, product);
  if (existsSync(path)) return Promise.resolve(path);
  const running = making.get(path) ?? makeIn(directory, make).then(() => path);
  making.set(path, running);
  return running;
}

async function makeIn(directory: string, make: (directory: string) => Promise<void>): Promise<void> {
  emptyDirectory(directory);
  await make(directory);
}

export function emptyDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
}
