// SPDX-License-Identifier: Apache-2.0
// Counts the forks on this machine: the size of a fork storm, and an upper bound of the exits.
import { readFileSync } from 'node:fs';

/** Processes and threads started since boot (/proc/stat). */
export function forked(): number {
  return Number(/^processes (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]);
}
