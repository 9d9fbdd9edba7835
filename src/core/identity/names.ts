// SPDX-License-Identifier: Apache-2.0
// Processes by name and pid, as sentences, records and rules use them.
import { displayName } from '../naming/program.ts';
import type { Ancestor } from '../wire/event.ts';
import type { ArgumentsMode } from './arguments.ts';

/** A process by pid and display name. */
export interface Named {
  readonly pid: number;
  readonly name: string;
}

/** Nearest first, as on the wire. Where arguments are not shown, no name is made of them. */
export function namedAncestors(ancestors: readonly Ancestor[], mode: ArgumentsMode): Named[] {
  return ancestors.map(({ pid, comm, exe = null, args = null }) => ({
    pid,
    name: displayName({ comm, exe, args: mode === 'off' ? null : args }),
  }));
}
