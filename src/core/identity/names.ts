// SPDX-License-Identifier: Apache-2.0
// Processes by name and pid, as sentences, records and rules use them.
import { displayName } from '../naming/program.ts';
import type { Ancestor } from '../wire/event.ts';
import { Arguments, type ArgumentsMode } from './arguments.ts';

export interface User {
  readonly uid: number;
  /** null: not known. */
  readonly name: string | null;
}

/** A process by pid and display name. */
export interface Named {
  readonly pid: number;
  readonly name: string;
}

export interface NamedAncestor extends Named {
  /** The beginning of its command line. */
  readonly arguments: Arguments;
  /** The effective user who executed its program. null: not known. */
  readonly user: User | null;
}

/** Nearest first, as on the wire. Where arguments are not shown, no name is made of them. */
export function namedAncestors(
  ancestors: readonly Ancestor[],
  mode: ArgumentsMode,
  userOf: (uid: number) => User,
): NamedAncestor[] {
  return ancestors.map(({ pid, comm, exe = null, args = null, args_truncated = false, uid = null }) => ({
    pid,
    name: displayName({ comm, exe, args: mode === 'off' ? null : args }),
    arguments: new Arguments({ args, args_truncated }, mode),
    user: uid === null ? null : userOf(uid),
  }));
}
