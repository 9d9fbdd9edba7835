// SPDX-License-Identifier: Apache-2.0
// What is shown, as the URL has it: the filters of `whodunit list`, and the report that is open (`id`). So it can be bookmarked while the
// page is served, and Back leads back.
import { ALL_FILTER_NAMES } from '../core/history/filter-names.ts';

export type PageFilter = (typeof ALL_FILTER_NAMES)[number];
export type Filters = Readonly<Partial<Record<PageFilter, string>>>;

export interface Address {
  readonly filters: Filters;
  readonly id: string | null;
}

export function readAddress(search: string): Address {
  const query = new URLSearchParams(search);
  const given = ALL_FILTER_NAMES.flatMap((name) => {
    const value = query.get(name);
    return value === null || value === '' ? [] : [[name, value] as const];
  });
  return { filters: Object.fromEntries(given), id: query.get('id') };
}

/** The query of the URL: `?cause=fault`. */
export function searchOf({ filters, id }: Address): string {
  const query = queryOf(filters);
  if (id !== null) query.set('id', id);
  return `?${query}`;
}

export function queryOf(filters: Filters): URLSearchParams {
  return new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== ''));
}

/** The filters with other values; an empty value removes one. */
export function changed(filters: Filters, change: Filters): Filters {
  return Object.fromEntries(Object.entries({ ...filters, ...change }).filter(([, value]) => value !== ''));
}
