// SPDX-License-Identifier: Apache-2.0
// What is shown, as the URL has it: the filters of `whodunit list`, and the report that is open (`id`). So it can be bookmarked while the
// page is served, and Back leads back.

export const FILTERS = [
  'since',
  'until',
  'service',
  'unit',
  'container',
  'cause',
  'signal',
  'sender',
  'user',
  'executable',
  'incident',
] as const;
export type FilterName = (typeof FILTERS)[number];
export type Filters = Readonly<Partial<Record<FilterName, string>>>;

export interface Address {
  readonly filters: Filters;
  readonly id: string | null;
}

export function readAddress(search: string): Address {
  const query = new URLSearchParams(search);
  const given = FILTERS.flatMap((name) => {
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
