// SPDX-License-Identifier: Apache-2.0
// The bookkeeping itself: no other test would notice an error in it.
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { account, REFUSED_CODE, type Reported, readLedger, reportedBy, type TrueDeath } from './ledger.ts';
import { differences } from './scenario.ts';

const REAPER = '/reaper';
const [BORN, SECOND] = [1_795_600_960_000_000_000n, 1_000_000_000n];

function death(pid: number, changes: Partial<TrueDeath> = {}): TrueDeath {
  return { pid, bornAfter: BORN, bornBefore: BORN + 1_000n, deadBy: 5n, status: 9, ...changes };
}

function record(pid: number, changes: Partial<Reported> = {}): Reported {
  return { uid: `uid of ${pid}`, pid, bornNs: BORN + 500n, status: 9, executable: REAPER, ...changes };
}

const NOTHING = {
  delivered: 0,
  filtered: 0,
  refused: 0,
  copies: 0,
  duplicates: 0,
  missing: 0,
  wrong: 0,
  othersReported: 0,
};

describe('the account', () => {
  it.each<[string, TrueDeath[], Reported[], object]>([
    ['a death with its record is delivered', [death(1)], [record(1)], { delivered: 1 }],
    ['a death without one is missing', [death(1)], [], { missing: 1 }],
    ['a second copy falls to the uid', [death(1)], [record(1), record(1)], { delivered: 1, copies: 1 }],
    [
      'two uids are a duplicate',
      [death(1)],
      [record(1), record(1, { uid: 'another' })],
      { delivered: 1, duplicates: 1 },
    ],
    [
      'a pid that is used again is another death',
      [death(1), death(1, { bornAfter: BORN + SECOND, bornBefore: BORN + SECOND })],
      [record(1)],
      { delivered: 1, missing: 1 },
    ],
    ['another status is wrong', [death(1)], [record(1, { status: 3 << 8 })], { delivered: 1, wrong: 1 }],
    ['a record of one who did not die is wrong', [death(1)], [record(1), record(2)], { delivered: 1, wrong: 1 }],
    [
      'a record of another process is none of ours',
      [death(1)],
      [record(1), record(2, { executable: '/x' }), record(2, { executable: '/x' })],
      { delivered: 1, othersReported: 1 },
    ],
    ['an exit may be filtered', [death(1, { status: 3 << 8 })], [], { filtered: 1 }],
    ['a marked one may be refused', [death(1, { status: REFUSED_CODE << 8 })], [], { refused: 1 }],
  ])('%s', (_, ledger, records, expected) => {
    const rules = { filtered: (status: number) => status === 3 << 8, refused: (status: number) => status === 113 << 8 };
    const { examples, ...drawn } = account(ledger, records, REAPER, rules);
    expect(drawn).toEqual({ ...NOTHING, deaths: ledger.length, ...expected });
    expect(examples).toHaveLength(drawn.missing + drawn.duplicates + drawn.wrong);
  });

  it('reads the lines of the reaper', () => {
    expect(readLedger('17 1 2 3 768\n')).toEqual([{ pid: 17, bornAfter: 1n, bornBefore: 2n, deadBy: 3n, status: 768 }]);
  });

  it('reads whom a record is about, to the nanosecond', () => {
    const one = {
      eventName: 'whodunit.process.termination',
      attributes: { 'log.record.uid': 'u', 'whodunit.signal.number': 9 },
      resource: {
        'process.pid': 17,
        'process.creation.time': '2026-11-25T10:02:40.779194705Z',
        'process.executable.path': REAPER,
      },
    };
    const expected = { uid: 'u', pid: 17, bornNs: 1_795_600_960_779_194_705n, status: 9, executable: REAPER };
    expect(reportedBy(one as unknown as LogRecord)).toEqual(expected);
    expect(reportedBy({ ...one, eventName: 'another' } as unknown as LogRecord)).toBeUndefined();
  });
});

describe('the verdict', () => {
  const drawn = { deaths: 10, ...NOTHING, delivered: 8, missing: 2, examples: [] };
  const whole = { ...drawn, delivered: 10, missing: 0 };

  it.each<[string, Parameters<typeof differences>, number]>([
    ['all delivered, nothing lost', [whole, 0, 0, false], 0],
    ['what is missing is counted', [drawn, 2, 0, true], 0],
    ['what is missing is not counted', [drawn, 1, 0, true], 1],
    ['more is counted than is missing', [drawn, 3, 0, true], 1],
    ['more is counted, but others died', [drawn, 3, 1, true], 0],
    ['more is counted, and the other terminations were reported', [{ ...drawn, othersReported: 1 }, 3, 1, true], 1],
    ['counted, where nothing may be lost', [drawn, 2, 0, false], 1],
    ['of others, where nothing may be lost', [whole, 1, 1, false], 1],
    ['two uids', [{ ...whole, duplicates: 1 }, 0, 0, false], 1],
    ['a wrong record', [{ ...whole, wrong: 1 }, 0, 0, false], 1],
  ])('%s', (_, counted, complaints) => {
    expect(differences(...counted)).toHaveLength(complaints);
  });
});
