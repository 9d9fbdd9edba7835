// SPDX-License-Identifier: Apache-2.0
// The loads of a storm: processes that only fork, the fastest possible, and programs that are executed, as in a crash loop.
import { availableParallelism } from 'node:os';

export interface StormKind {
  readonly id: string;
  readonly title: string;
  /** The name of the load (load.c). */
  readonly load: string;
}

export const STORM_KINDS: readonly StormKind[] = [
  { id: 'exit', title: 'fork, exit with 3', load: 'storm' },
  { id: 'exec', title: 'fork, exec, exit with 3', load: 'storm-exec' },
];

export const STORM_WORKERS = 2 * availableParallelism();
