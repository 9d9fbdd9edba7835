// SPDX-License-Identifier: Apache-2.0
// The conformance cases that need only our own programs, with a loader that cannot see the kernel's BTF: an empty file system hides it, in a
// mount namespace of the loader, which gets a copy by WHODUNIT_BTF.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loaderWithoutBtf } from '../../scripts/stack/hidden.ts';
import { temporaryDirectory } from '../../scripts/stack/program.ts';
import { type CaseRunner, startCaseRunner } from './case-runner.ts';
import { OWN_CASES } from './own-cases.ts';

describe("every termination has a correct record without the kernel's own BTF", () => {
  const directory = temporaryDirectory();
  let runner: CaseRunner;

  beforeAll(async () => {
    const btf = join(directory.path, 'vmlinux.btf');
    const loader = loaderWithoutBtf(directory.path);
    copyFileSync('/sys/kernel/btf/vmlinux', btf);
    runner = await startCaseRunner({ WHODUNIT_BTF: btf }, loader);
    expect(runner.whodunit.loader.output()).toContain(`the probes use BTF of ${btf}`);
  });

  afterAll(async () => {
    if (runner !== undefined) expect(await runner.close()).toEqual([]); // undefined: the setup failed
    directory.remove();
  });

  for (const one of OWN_CASES) {
    it.skipIf(one.skip !== undefined)(`${one.name} (${one.id})`, async () => {
      for (const { differences } of await runner.run(one))
        expect(differences, runner.whodunit.service.output()).toEqual([]);
    });
  }

  it('there are no duplicate records, no records without a termination, and no losses', async () => {
    expect(await runner.review()).toEqual({ doubled: [], invented: [], lost: 0 });
  });
});
