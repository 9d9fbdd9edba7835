// SPDX-License-Identifier: Apache-2.0
// Tables, totals and the page of a run: they must show every error, and only a run without errors passes.
import { describe, expect, it } from 'vitest';
import type { Finding } from '../check.ts';
import { expected, record, truth } from '../sample.ts';
import { observationsOf } from './observed.ts';
import { page } from './page.ts';
import { exitsnoop } from './peers/exitsnoop.ts';
import { type Run, WHODUNIT } from './run.ts';
import { summary, table, toolRows } from './table.ts';
import { allRight, total } from './tally.ts';
import { weigh } from './weigh.ts';

const one = { name: 'another process kills it', id: 'sigkill', deaths: [expected] };
const found: Finding = { truth, expected, records: [record], differences: [] };

function runWith(finding: Finding, changes: Partial<Run> = {}): Run {
  const weighed = new Map([
    [WHODUNIT, weigh([truth], 0, expected, finding.records.flatMap(observationsOf), ['status', 'sender'])],
    ['exitsnoop', weigh([truth], 0, expected, [{ kind: 'end', pid: 42, ending: { code: 5 } }], ['status'])],
  ]);
  const review = { doubled: [], invented: [], lost: 0 };
  return { scored: [{ one, finding, weighed }], failed: [], skipped: [], review, complaints: [], ...changes };
}

const right = runWith(found);
const review = right.review;

describe('a run', () => {
  it('passes if every termination is right', () => {
    expect(allRight(right)).toBe(true);
    expect(total(right)).toMatchObject({ cases: 1, deaths: 1, right: 1, wrong: 0 });
  });

  it.each<[string, Run, string]>([
    ['a wrong record', runWith({ ...found, differences: ['it is wrong'] }), 'it is wrong'],
    ['a missed termination', runWith({ ...found, records: [], differences: ['no record'] }), '1 wrong; 1 missed'],
    [
      'a doubled termination',
      runWith(found, { review: { ...review, doubled: [truth] } }),
      'two records of the death of /build/mortal (pid 42)',
    ],
    [
      'an invented termination',
      runWith(found, { review: { ...review, invented: [record] } }),
      'invented: mortal (pid 42) was killed.',
    ],
    ['a lost termination', runWith(found, { review: { ...review, lost: 1 } }), '1 lost'],
    [
      'a case that cannot run',
      runWith(found, { failed: [{ one, why: 'no such program' }] }),
      'sigkill could not run: no such program',
    ],
    [
      'a failed shutdown',
      runWith(found, { complaints: ['the loader ended with code 1'] }),
      'the loader ended with code 1',
    ],
    ['no termination at all', runWith(found, { scored: [] }), '0 deaths'],
  ])('fails with %s, and shows it', (_, run, words) => {
    expect(allRight(run)).toBe(false);
    expect(summary(run, [])).toContain(words);
  });

  it('names skipped cases, and why', () => {
    const skipped = [{ ...one, skip: 'not supported here' }];
    expect(summary(runWith(found, { skipped }), [])).toContain('skipped: sigkill (not supported here)');
  });
});

describe('the tables', () => {
  it('show the truth beside the verdict', () => {
    expect(table(right, []).split('\n')[1]).toBe(
      'sigkill  SIGKILL (killed) by killer  SIGKILL (killed) by killer  right',
    );
    const wrong = { ...record, attributes: { ...record.attributes, 'whodunit.cause': 'fault' } };
    const row = table(runWith({ ...found, records: [wrong], differences: ['x'] }), []).split('\n')[1];
    expect(row).toBe('sigkill  SIGKILL (killed) by killer  SIGKILL (fault) by killer  WRONG');
  });

  it('show equal terminations of one case once', () => {
    const [scored] = right.scored;
    if (scored === undefined) throw new Error('nothing was scored');
    const twice = runWith(found, { scored: [scored, scored] });
    expect(table(twice, []).split('\n')).toEqual([expect.anything(), expect.stringMatching(/^sigkill \(2 times\) /)]);
    expect(toolRows(twice, [])[1]).toContain('1/1');
    expect(total(twice).deaths).toBe(2);
  });

  it('show the other tools beside whodunit', () => {
    expect(toolRows(right, ['exitsnoop'])).toEqual([
      expect.arrayContaining(['tool', 'status right', 'sender right']),
      ['whodunit', '1/1', '0', '0', '0', '0', '1/1', '0', '0', '0'],
      ['exitsnoop', '0/1', '1', '0', '0', '0', '–', '–', '–', '–'],
    ]);
    expect(table(right, ['exitsnoop']).split('\n')[1]).toMatch(/right {2}exit 5$/);
  });

  it('are on the page, with the versions of the tools', () => {
    const text = page(right, [exitsnoop], {
      kernel: '6.18.0',
      distribution: 'Debian 12',
      versions: new Map([['libbpf-tools', '0.26']]),
    });
    expect(text).toContain(
      '| another process kills it (`sigkill`) | SIGKILL (killed) by killer | right | **exit 5** |',
    );
    expect(text).toContain("Debian's `libbpf-tools` 0.26, `stdbuf -oL exitsnoop`");
    expect(text).toContain('1 cases, 1 deaths: 1 right, 0 wrong');
  });
});
