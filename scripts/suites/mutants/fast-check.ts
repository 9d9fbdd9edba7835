// SPDX-License-Identifier: Apache-2.0
// fast-check as the tests import it while mutants are tested: the same values in each run, fewer of them, and no search for a smaller
// counterexample.
import fc from 'fast-check';

export * from 'fast-check';

const RUNS = 20;

const assert = ((property: fc.IRawProperty<unknown>, parameters?: fc.Parameters<unknown>) =>
  fc.assert(property, { ...parameters, seed: 1, numRuns: RUNS, endOnFailure: true })) as typeof fc.assert;

export default { ...fc, assert };
