// SPDX-License-Identifier: Apache-2.0
// How often anything on this machine was forked: what a storm has raised, and the most that can have exited.
import { readFileSync } from 'node:fs';

/** /proc/stat counts every fork and every new thread since the machine came up. */
export function forked(): number {
  return Number(/^processes (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]);
}
