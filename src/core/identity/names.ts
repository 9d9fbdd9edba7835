// SPDX-License-Identifier: Apache-2.0
// Display names of processes, as sentences, records and rules use them.
import type { Actor, Ancestor } from '../wire/event.ts';

/** A process by pid and display name. */
export interface Named {
  readonly pid: number;
  readonly name: string;
}

/** The file name of the executable; if it is not known, the kernel's comm (at most 15 bytes). */
export function displayName(task: Pick<Actor, 'exe' | 'comm'>): string {
  const path = task.exe?.replace(/ \(deleted\)$/, '');
  const name = path?.slice(path.lastIndexOf('/') + 1);
  return name === undefined || name === '' ? task.comm : name;
}

/** Nearest first, as on the wire. */
export function namedAncestors(ancestors: readonly Ancestor[]): Named[] {
  return ancestors.map(({ pid, comm }) => ({ pid, name: comm }));
}
