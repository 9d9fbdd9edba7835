// SPDX-License-Identifier: Apache-2.0
// What passes between the command (mutants.ts) and the processes that test the mutants (runner.ts).

/** The environment variable with a `Shard`. */
export const SHARD = 'WHODUNIT_TEST_MUTANTS';

/** A process tests the mutants whose id is `index` modulo `count`. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** The `meta` of a test file. */
export interface MutantsMeta {
  /** Ids of the mutants that its tests killed, and those of no file before it. */
  readonly killedMutants: readonly string[];
}
