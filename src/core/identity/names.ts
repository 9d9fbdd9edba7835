// SPDX-License-Identifier: Apache-2.0
// Display names of processes. Every name in a sentence, a record or a rule is made here.
import type { Actor, Ancestor } from '../wire/event.ts';

/** A process of which little more than the name is known. */
export interface Named {
  readonly pid: number;
  readonly name: string;
}

/** The last part of the executable's path; where that is not known, the name that the kernel keeps (comm, at most 15 bytes). */
export function displayName(task: Pick<Actor, 'exe' | 'comm'>): string {
  const path = task.exe?.replace(/ \(deleted\)$/, '');
  const name = path?.slice(path.lastIndexOf('/') + 1);
  return name === undefined || name === '' ? task.comm : name;
}

/** Nearest first, as on the wire. */
export function namedAncestors(ancestors: readonly Ancestor[]): Named[] {
  return ancestors.map(({ pid, comm }) => ({ pid, name: comm }));
}
