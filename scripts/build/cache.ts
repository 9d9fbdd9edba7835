// SPDX-License-Identifier: Apache-2.0
// The cache outside the repository, for products that take long to build: one directory for each product, with the hash of its recipe
// in its name, so that a changed recipe gets a new directory.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'whodunit');
const HASH_CHARACTERS = 12;

/** A short hash for use in names. */
export function hashOf(...recipe: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of recipe) hash.update(part);
  return hash.digest('hex').slice(0, HASH_CHARACTERS);
}

/** The cache directory of a product with this recipe. It may not exist yet. */
export function cacheOf(name: string, ...recipe: readonly (string | Buffer)[]): string {
  return join(CACHE, `${name}-${hashOf(...recipe)}`);
}

/** Products in the making, by path: one that two stages need at the same time is made once. */
const making = new Map<string, Promise<string>>();

/**
 * Returns the path of `product` in the directory. If it is missing, empties the directory and calls `make` to fill it. `make` creates the
 * product last and atomically, so that the remains of an interrupted attempt are never used.
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
