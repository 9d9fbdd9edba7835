// SPDX-License-Identifier: Apache-2.0
// The page's URL → the filter: the names and the times of `whodunit list`.
import { FILTER_NAMES, type Filter } from '../../core/history/filter.ts';

/** Returns the filter, or why the query has none. */
export function readQuery(query: URLSearchParams): Filter | { readonly error: string } {
  const filter: Record<string, string | bigint> = {};
  for (const name of FILTER_NAMES) {
    const value = query.get(name);
    if (value !== null && value !== '') filter[name] = value;
  }
  for (const name of ['since', 'until'] as const) {
    const value = query.get(name);
    if (value === null || value === '') continue;
    const ms = Date.parse(value);
    if (Number.isNaN(ms)) return { error: `${name} is "${value}", which is no time.` };
    filter[`${name}Ns`] = BigInt(ms) * 1_000_000n;
  }
  return filter;
}
