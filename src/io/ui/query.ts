// SPDX-License-Identifier: Apache-2.0
// The page's URL → the filter, read as the flags of `whodunit list` are.
import { readFilter } from '../../config/history-flags.ts';
import { FatalError } from '../../core/errors.ts';
import type { Filter } from '../../core/history/filter.ts';

/** Returns the filter, or why the query has none. */
export function readQuery(query: URLSearchParams): Filter | { readonly error: string } {
  try {
    return readFilter(Object.fromEntries([...query].filter(([, value]) => value !== '')));
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    return { error: error.message };
  }
}
