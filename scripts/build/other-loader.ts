// SPDX-License-Identifier: Apache-2.0
// The loader of another commit, from the cache or built there.
import { run } from '../base/run.ts';

/** Returns its path. `commit`: by default that of release 0.1.0. Fails if this clone lacks the commit. */
export async function buildLoaderOf(commit?: string): Promise<string> {
  return (await run('go', ['run', './test/released', ...(commit === undefined ? [] : [commit])])).trim();
}
