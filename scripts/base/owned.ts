// SPDX-License-Identifier: Apache-2.0
// Child processes that do not outlive this process when it ends early.
import type { ChildProcess } from 'node:child_process';

const owned = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of owned) child.kill('SIGKILL');
});

/** Kills the child when this process exits before it. */
export function own<Child extends ChildProcess>(child: Child): Child {
  owned.add(child);
  child.once('close', () => owned.delete(child));
  child.once('error', () => owned.delete(child));
  return child;
}
