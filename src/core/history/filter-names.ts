// SPDX-License-Identifier: Apache-2.0
// The filters of the history, as commands and the page name them. Nothing else, since the page's bundle has it, too.

/** By what an entry has. A value is a glob; an entry without such a part does not match. */
export const FILTER_NAMES = [
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
export type FilterName = (typeof FILTER_NAMES)[number];

/** With those by time. */
export const ALL_FILTER_NAMES = ['since', 'until', ...FILTER_NAMES] as const;
