// SPDX-License-Identifier: Apache-2.0
// With the probes of kernels without a ring buffer.
import { describe } from 'vitest';
import { testLimitedCases } from './limited-cases.ts';
import { OLD_LIMITS } from './old-limits.ts';

describe('every termination has a correct record with the probes of old kernels', () => {
  testLimitedCases('old', OLD_LIMITS);
});
