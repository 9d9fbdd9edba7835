// SPDX-License-Identifier: Apache-2.0
// The conformance cases that need only our own programs, with those probes of kernels without a ring buffer that need no raw
// tracepoints. WHODUNIT_PROBES selects them here.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CaseRunner, startCaseRunner } from './case-runner.ts';
import { CLASSIC_LIMITS, UNREPORTED } from './classic-limits.ts';
import { OWN_CASES } from './own-cases.ts';

describe('every termination has a record without a wrong value with the probes of kernels without raw tracepoints', () => {
  let runner: CaseRunner;

  beforeAll(async () => {
    runner = await startCaseRunner({ WHODUNIT_PROBES: 'classic' });
  });

  afterAll(async () => {
    if (runner !== undefined) expect(await runner.close()).toEqual([]); // undefined: the setup failed
  });

  for (const one of OWN_CASES.filter(({ id }) => !UNREPORTED.includes(id))) {
    it.skipIf(one.skip !== undefined)(`${one.name} (${one.id})`, async () => {
      const limits = CLASSIC_LIMITS.filter(({ cases }) => cases?.includes(one.id) ?? true);
      for (const { differences } of await runner.run(one))
        expect(
          differences.filter((difference) => !limits.some(({ allows }) => allows(difference))),
          runner.whodunit.service.output(),
        ).toEqual([]);
    });
  }

  it('there are no duplicate records, and no records without a termination', async () => {
    expect(await runner.review()).toMatchObject({ doubled: [], invented: [] });
  });
});
