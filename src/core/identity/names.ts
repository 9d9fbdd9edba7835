// SPDX-License-Identifier: Apache-2.0
// Processes by name and pid, as sentences, records and rules use them.
import { displayName } from '../naming/program.ts';
import type { Ancestor } from '../wire/event.ts';

/** A process by pid and display name. */
export interface Named {
  readonly pid: number;
  readonly name: string;
}

/** Nearest first, as on the wire. */
export function namedAncestors(ancestors: readonly Ancestor[]): Named[] {
  return ancestors.map(({ pid, comm }) => ({ pid, name: displayName({ comm }) }));
}
