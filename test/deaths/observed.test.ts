// SPDX-License-Identifier: Apache-2.0
// The conformance cases that need only our own programs, with a loader that cannot see the kernel's BTF and has no file with it: an empty file
// system hides it, in a mount namespace of the loader, which finds the types by observation. What a record may lack: observed-limits.ts.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOADER, temporaryDirectory } from '../../scripts/stack/program.ts';
import { type CaseRunner, startCaseRunner } from './case-runner.ts';
import { gracefulCases } from './cases/graceful.ts';
import { handledCases } from './cases/handled.ts';
import { kernelCases } from './cases/kernel.ts';
import { senderCases } from './cases/sender.ts';
import { statusCases } from './cases/status.ts';
import { stoppedCases } from './cases/stopped.ts';
import { unexplained } from './observed-limits.ts';

const cases = [
  ...statusCases,
  ...senderCases,
  ...kernelCases,
  ...handledCases,
  ...stoppedCases,
  ...gracefulCases,
].filter(({ arch }) => arch === undefined || arch === process.arch);

const HIDDEN = `#!/bin/sh
exec unshare --mount sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "${LOADER}" "$@"' sh "$@"
`;

describe('every termination has a record without a wrong value on a kernel without BTF', () => {
  const directory = temporaryDirectory();
  let runner: CaseRunner;

  beforeAll(async () => {
    const loader = join(directory.path, 'loader-without-btf');
    writeFileSync(loader, HIDDEN, { mode: 0o700 });
    runner = await startCaseRunner({}, loader);
    expect(runner.whodunit.loader.output()).toContain('the probes use types found by observation');
  });

  afterAll(async () => {
    if (runner !== undefined) expect(await runner.close()).toEqual([]); // undefined: the setup failed
    directory.remove();
  });

  for (const one of cases) {
    it.skipIf(one.skip !== undefined)(`${one.name} (${one.id})`, async () => {
      for (const { differences } of await runner.run(one))
        expect(unexplained(one.id, differences), runner.whodunit.service.output()).toEqual([]);
    });
  }

  it('there are no duplicate records, no records without a termination, and no losses', async () => {
    expect(await runner.review()).toEqual({ doubled: [], invented: [], lost: 0 });
  });
});
