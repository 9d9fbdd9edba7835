// SPDX-License-Identifier: Apache-2.0
// With those probes of kernels without a ring buffer that need no raw tracepoints.
import { describe } from 'vitest';
import { CLASSIC_LIMITS, UNREPORTED } from './classic-limits.ts';
import { testLimitedCases } from './limited-cases.ts';

describe('every termination has a record without a wrong value with the probes of kernels without raw tracepoints', () => {
  testLimitedCases('classic', CLASSIC_LIMITS, UNREPORTED);
});
