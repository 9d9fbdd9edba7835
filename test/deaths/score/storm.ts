// SPDX-License-Identifier: Apache-2.0
// A fork storm: one undertaker for each processor forks children that exit at once, one after the other, until it is stopped.
import { availableParallelism } from 'node:os';
import { startProgram, UNDERTAKER } from '../../../scripts/stack/program.ts';

/** More than any run reaches. */
const FORKS = '1000000000';

export interface Storm {
  /** Stops the storm. Returns a complaint if one of the programs ended earlier. */
  readonly stop: () => Promise<readonly string[]>;
}

export function startStorm(): Storm {
  const programs = Array.from({ length: availableParallelism() }, () => startProgram(UNDERTAKER, ['forks', FORKS]));
  const stop = async () => {
    const early = programs.find(({ alive }) => !alive());
    await Promise.all(programs.map((program) => program.stop()));
    return early === undefined ? [] : [`the storm ended early: ${early.output().trim()}`];
  };
  return { stop };
}
