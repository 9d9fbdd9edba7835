// SPDX-License-Identifier: Apache-2.0
// Child processes that are killed when this process exits.
import type { ChildProcess } from 'node:child_process';

const owned = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of owned) child.kill('SIGKILL');
});

/** Kills the child if this process exits first. */
export function own<Child extends ChildProcess>(child: Child): Child {
  owned.add(child);
  child.once('close', () => owned.delete(child));
  child.once('error', () => owned.delete(child));
  return child;
}
