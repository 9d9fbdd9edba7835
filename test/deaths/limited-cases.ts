// SPDX-License-Identifier: Apache-2.0
// The conformance cases that need only our own programs, with probes that WHODUNIT_PROBES selects here: those of kernels without a ring buffer.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CaseRunner, startCaseRunner } from './case-runner.ts';
import type { OldLimit } from './old-limits.ts';
import { OWN_CASES } from './own-cases.ts';

/** Adds the tests. `limits`: what these probes cannot show. `unreported`: cases of which they report nothing. */
export function testLimitedCases(
  probes: 'old' | 'classic',
  limits: readonly OldLimit[],
  unreported: readonly string[] = [],
): void {
  let runner: CaseRunner;

  beforeAll(async () => {
    runner = await startCaseRunner({ WHODUNIT_PROBES: probes });
  });

  afterAll(async () => {
    if (runner !== undefined) expect(await runner.close()).toEqual([]); // undefined: the setup failed
  });

  for (const one of OWN_CASES.filter(({ id }) => !unreported.includes(id))) {
    it.skipIf(one.skip !== undefined)(`${one.name} (${one.id})`, async () => {
      const possible = limits.filter(({ cases }) => cases?.includes(one.id) ?? true);
      for (const { differences } of await runner.run(one))
        expect(
          differences.filter((difference) => !possible.some(({ allows }) => allows(difference))),
          runner.whodunit.service.output(),
        ).toEqual([]);
    });
  }

  it('there are no duplicate records, and no records without a termination', async () => {
    expect(await runner.review()).toMatchObject({ doubled: [], invented: [] });
  });
}
