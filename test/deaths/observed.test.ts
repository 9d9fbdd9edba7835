// SPDX-License-Identifier: Apache-2.0
// The conformance cases that need only our own programs, with a loader that cannot see the kernel's BTF and has no file with it: an empty file
// system hides it, in a mount namespace of the loader, which finds the types by observation. What a record may lack: observed-limits.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loaderWithoutBtf } from '../../scripts/stack/hidden.ts';
import { temporaryDirectory } from '../../scripts/stack/program.ts';
import { type CaseRunner, startCaseRunner } from './case-runner.ts';
import { unexplained } from './observed-limits.ts';
import { OWN_CASES } from './own-cases.ts';

describe('every termination has a record without a wrong value on a kernel without BTF', () => {
  const directory = temporaryDirectory();
  let runner: CaseRunner;

  beforeAll(async () => {
    const loader = loaderWithoutBtf(directory.path);
    runner = await startCaseRunner({}, loader);
    expect(runner.whodunit.loader.output()).toContain('the probes use types found by observation');
  });

  afterAll(async () => {
    if (runner !== undefined) expect(await runner.close()).toEqual([]); // undefined: the setup failed
    directory.remove();
  });

  for (const one of OWN_CASES) {
    it.skipIf(one.skip !== undefined)(`${one.name} (${one.id})`, async () => {
      for (const { differences } of await runner.run(one))
        expect(unexplained(one.id, differences), runner.whodunit.service.output()).toEqual([]);
    });
  }

  it('there are no duplicate records, no records without a termination, and no losses', async () => {
    expect(await runner.review()).toEqual({ doubled: [], invented: [], lost: 0 });
  });
});
