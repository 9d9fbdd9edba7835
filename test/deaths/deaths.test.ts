// SPDX-License-Identifier: Apache-2.0
// The conformance suite: real programs die on the real kernel, and the file of a real collector must say so. The truth comes from
// the undertaker, which shares nothing with the code under test.
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UNDERTAKER } from '../../scripts/stack/program.ts';
import { type CaseRunner, startCaseRunner } from './case-runner.ts';
import { cases } from './cases/index.ts';

describe('every termination is reported as it was', () => {
  let runner: CaseRunner;
  let checked = 0;

  beforeAll(async () => {
    runner = await startCaseRunner();
  });

  afterAll(async () => {
    if (runner !== undefined) expect(await runner.close()).toEqual([]); // undefined: it did not even start
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

  it('none has a second record, an exit with code 0 has none, no other process has one, and nothing was lost', async () => {
    expect(checked).toBeGreaterThan(0);
    expect(await runner.review()).toEqual({ doubled: [], invented: [], lost: 0 });
  });

  it('the table knows every case of the undertaker', () => {
    const names = spawnSync(UNDERTAKER, ['list'], { encoding: 'utf8' }).stdout.trim().split('\n');
    expect(cases.map(({ id }) => id).sort()).toEqual(names.sort());
  });
});
