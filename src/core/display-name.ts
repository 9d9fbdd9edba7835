// SPDX-License-Identifier: Apache-2.0
// The name of a process in sentences, evidence, records and rules: one function, so that all say the same.
import type { Actor } from './wire/event.ts';

/** The file name of the executable; if it is not known, the kernel's comm (at most 15 bytes). */
export function displayName(task: Pick<Actor, 'exe' | 'comm'>): string {
  const path = task.exe?.replace(/ \(deleted\)$/, '');
  const name = path?.slice(path.lastIndexOf('/') + 1);
  return name === undefined || name === '' ? task.comm : name;
}
