// SPDX-License-Identifier: Apache-2.0
// The conformance cases that need only our own programs, with a loader that cannot see the kernel's BTF: an empty file system hides it, in a
// mount namespace of the loader, which gets a copy by WHODUNIT_BTF.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CaseRunner, startCaseRunner } from './case-runner.ts';
import { gracefulCases } from './cases/graceful.ts';
import { handledCases } from './cases/handled.ts';
import { kernelCases } from './cases/kernel.ts';
import { senderCases } from './cases/sender.ts';
import { statusCases } from './cases/status.ts';
import { stoppedCases } from './cases/stopped.ts';

const cases = [
  ...statusCases,
  ...senderCases,
  ...kernelCases,
  ...handledCases,
  ...stoppedCases,
  ...gracefulCases,
].filter(({ arch }) => arch === undefined || arch === process.arch);


describe('every termination has a correct record with the probes of old kernels', () => {
  let runner: CaseRunner;

  beforeAll(async () => {
    runner = await startCaseRunner({ WHODUNIT_PROBES: 'old' });
  });

  afterAll(async () => {
    if (runner !== undefined) expect(await runner.close()).toEqual([]); // undefined: the setup failed
  });

  for (const one of cases) {
    it.skipIf(one.skip !== undefined)(`${one.name} (${one.id})`, async () => {
      for (const { differences } of await runner.run(one))
        expect(differences, runner.whodunit.service.output()).toEqual([]);
    });
  }

  it('there are no duplicate records, no records without a termination, and no losses', async () => {
    expect(await runner.review()).toEqual({ doubled: [], invented: [], lost: 0 });
  });
});
