// SPDX-License-Identifier: Apache-2.0
// Processes by name and pid, as sentences, records and rules use them.
import { Memo, textKey } from '../memo.ts';
import { displayName } from '../naming/program.ts';
import type { Ancestor } from '../wire/ancestor.ts';
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
  return ancestors.map((ancestor) => {
    const { pid, uid = null } = ancestor;
    return { pid, ...programOf(ancestor, mode), user: uid === null ? null : userOf(uid) };
  });
}

type AncestorProgram = Pick<NamedAncestor, 'name' | 'arguments'>;

/** Programs that are remembered: with their arguments, which are redacted once. */
const REMEMBERED_MAX = 256;
const remembered = new Memo<AncestorProgram>(REMEMBERED_MAX);

function programOf({ comm, exe = null, args = null, args_truncated = false }: Ancestor, mode: ArgumentsMode) {
  const key = textKey([mode, args === null ? 'unknown' : String(args_truncated), comm, exe ?? '', ...(args ?? [])]);
  return remembered.of(key, () => ({
    name: displayName({ comm, exe, args: mode === 'off' ? null : args }),
    arguments: new Arguments({ args, args_truncated }, mode),
  }));
}
