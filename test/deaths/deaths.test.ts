// SPDX-License-Identifier: Apache-2.0
// The conformance suite: real programs terminate on the real kernel, and the file of a real collector must have the right records. The
// truth comes from the undertaker, which shares no code with the code under test.
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UNDERTAKER } from '../../scripts/stack/program.ts';
import { type CaseRunner, startCaseRunner } from './case-runner.ts';
import { cases } from './cases/index.ts';

describe('every termination has a correct record', () => {
  let runner: CaseRunner;
  let checked = 0;

  beforeAll(async () => {
    runner = await startCaseRunner();
  });

  afterAll(async () => {
    if (runner !== undefined) expect(await runner.close()).toEqual([]); // undefined: the setup failed
  });

  for (const one of cases) {
    if (one.arch !== undefined && one.arch !== process.arch) continue;
    it.skipIf(one.skip !== undefined)(`${one.name} (${one.id})`, async () => {
      for (const { truth, records, differences } of await runner.run(one)) {
        checked += 1;
        const [record] = records;
        const reported =
          record === undefined
            ? `the truth: ${JSON.stringify(truth)}\n${runner.whodunit.service.output()}`
            : `${record.body}\nevidence: ${record.attributes['whodunit.evidence']}`;
        expect(differences, reported).toEqual([]);
      }
    });
  }

  it('there are no duplicate records, no records without a termination, and no losses', async () => {
    expect(checked).toBeGreaterThan(0);
    expect(await runner.review()).toEqual({ doubled: [], invented: [], lost: 0 });
  });

  it('the undertaker and the table have the same cases', () => {
    const names = spawnSync(UNDERTAKER, ['list'], { encoding: 'utf8' }).stdout.trim().split('\n');
    expect(cases.map(({ id }) => id).sort()).toEqual(names.sort());
  });
});
