// SPDX-License-Identifier: Apache-2.0
// Tests the ledger itself: no other test would detect an error in it.
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { account, membersBy, REFUSED_CODE, type Reported, readLedger, reportedBy, type TrueDeath } from './ledger.ts';
import { differences } from './scenario.ts';

const REAPER = '/reaper';
const [START, SECOND] = [1_795_600_960_000_000_000n, 1_000_000_000n];

function death(pid: number, changes: Partial<TrueDeath> = {}): TrueDeath {
  return { pid, startAfter: START, startBefore: START + 1_000n, reapedNs: 5n, status: 9, ...changes };
}

function record(pid: number, changes: Partial<Reported> = {}): Reported {
  return {
    uid: `uid of ${pid}`,
    pid,
    startNs: START + 500n,
    status: 9,
    executable: REAPER,
    whole: true,
    incident: '',
    ...changes,
  };
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
    ['a termination with a record is delivered', [death(1)], [record(1)], { delivered: 1 }],
    ['a termination without a record is missing', [death(1)], [], { missing: 1 }],
    ['a second record with the same uid is a copy', [death(1)], [record(1), record(1)], { delivered: 1, copies: 1 }],
    [
      'a second record with another uid is a duplicate',
      [death(1)],
      [record(1), record(1, { uid: 'another' })],
      { delivered: 1, duplicates: 1 },
    ],
    [
      'a reused pid is another termination',
      [death(1), death(1, { startAfter: START + SECOND, startBefore: START + SECOND })],
      [record(1)],
      { delivered: 1, missing: 1 },
    ],
    ['a record with another status is wrong', [death(1)], [record(1, { status: 3 << 8 })], { delivered: 1, wrong: 1 }],
    ['a record without a termination is wrong', [death(1)], [record(1), record(2)], { delivered: 1, wrong: 1 }],
    [
      'a record of a process outside the test is counted apart',
      [death(1)],
      [record(1), record(2, { executable: '/x' }), record(2, { executable: '/x' })],
      { delivered: 1, othersReported: 1 },
    ],
    ['an exit may be filtered', [death(1, { status: 3 << 8 })], [], { filtered: 1 }],
    [
      'a termination with the refused code may be refused',
      [death(1, { status: REFUSED_CODE << 8 })],
      [],
      { refused: 1 },
    ],
  ])('%s', (_, ledger, records, expected) => {
    const rules = { filtered: (status: number) => status === 3 << 8, refused: (status: number) => status === 113 << 8 };
    const { examples, ...drawn } = account(ledger, records, REAPER, rules);
    expect(drawn).toEqual({ ...NOTHING, deaths: ledger.length, ...expected });
    expect(examples).toHaveLength(drawn.missing + drawn.duplicates + drawn.wrong);
  });

  it('reads the lines of the reaper', () => {
    expect(readLedger('17 1 2 3 768\n')).toEqual([
      { pid: 17, startAfter: 1n, startBefore: 2n, reapedNs: 3n, status: 768 },
    ]);
  });

  it('reads the process of a record, with its start time in nanoseconds', () => {
    const one = {
      eventName: 'whodunit.process.termination',
      attributes: { 'log.record.uid': 'u', 'whodunit.signal.number': 9, 'whodunit.incident.id': 'i' },
      resource: {
        'process.pid': 17,
        'process.creation.time': '2026-11-25T10:02:40.779194705Z',
        'process.executable.path': REAPER,
      },
    };
    const start = { startNs: 1_795_600_960_779_194_705n };
    const expected = { uid: 'u', pid: 17, ...start, status: 9, executable: REAPER, whole: false, incident: 'i' };
    expect(reportedBy(one as unknown as LogRecord)).toEqual(expected);
    expect(reportedBy({ ...one, eventName: 'another' } as unknown as LogRecord)).toBeUndefined();
  });
});

describe('the members of an incident', () => {
  it('are read from its record: those that it lists, and the number of all', () => {
    const members = [
      '300 × sleep: SIGKILL (pids 7-8, 10 and 297 more)',
      'sh (pid 12): exit code 3',
      '2 × vim: SIGKILL after SIGTERM',
    ];
    const one = {
      eventName: 'whodunit.incident',
      attributes: {
        'log.record.uid': 'u',
        'whodunit.incident.id': 'i',
        'whodunit.aggregated.count': 303,
        'whodunit.incident.members': members,
      },
      resource: { 'process.executable.path': REAPER },
    };
    const { listed, ...rest } = membersBy(one as unknown as LogRecord) ?? { listed: [] };
    expect(rest).toEqual({ uid: 'u', incident: 'i', count: 303 });
    expect(listed.map(({ uid, pid, status }) => [uid, pid, status])).toEqual([
      ['u/7', 7, 9],
      ['u/8', 8, 9],
      ['u/10', 10, 9],
      ['u/12', 12, 3 << 8],
    ]);
  });
});

describe('the verdict', () => {
  const drawn = { deaths: 10, ...NOTHING, delivered: 8, missing: 2, examples: [] };
  const whole = { ...drawn, delivered: 10, missing: 0 };

  it.each<[string, Parameters<typeof differences>, number]>([
    ['all delivered, nothing lost', [whole, 0, 0, false], 0],
    ['every missing record is counted as lost', [drawn, 2, 0, true], 0],
    ['a missing record is not counted as lost', [drawn, 1, 0, true], 1],
    ['more counted as lost than missing', [drawn, 3, 0, true], 1],
    ['more counted as lost, but other processes terminated', [drawn, 3, 1, true], 0],
    [
      'more counted as lost, and the other terminations were reported',
      [{ ...drawn, othersReported: 1 }, 3, 1, true],
      1,
    ],
    ['counted as lost where nothing may be lost', [drawn, 2, 0, false], 1],
    ['losses of other processes where nothing may be lost', [whole, 1, 1, false], 1],
    ['duplicate records', [{ ...whole, duplicates: 1 }, 0, 0, false], 1],
    ['a wrong record', [{ ...whole, wrong: 1 }, 0, 0, false], 1],
  ])('%s', (_, counted, complaints) => {
    expect(differences(...counted)).toHaveLength(complaints);
  });
});
