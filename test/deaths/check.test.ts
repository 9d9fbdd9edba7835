// SPDX-License-Identifier: Apache-2.0
// The check must be able to fail: a missing record, a duplicate, a record that should not exist, a record without a termination.
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { checkCase, invented } from './check.ts';
import { expected, record, truth } from './sample.ts';

const differences = (deaths: Parameters<typeof checkCase>[0]['deaths'], records: readonly LogRecord[]) =>
  checkCase({ deaths }, [truth], records).flatMap((finding) => finding.differences);

describe('checkCase', () => {
  it('reports no difference if each termination has one correct record', () => {
    expect(differences([expected], [record])).toEqual([]);
    expect(differences([], [])).toEqual([]);
  });

  it.each([
    ['a missing record', [expected], [], 'process 42 has 0 records instead of 1'],
    ['a second record', [expected], [record, record], 'process 42 has 2 records instead of 1'],
    ['a record of a termination that must have none', [], [record], 'process 42 has 1 records instead of 0'],
    ['a missing termination', [expected, expected], [record], '1 deaths instead of 2'],
    [
      'a wrong record',
      [{ ...expected, cause: 'fault' }],
      [record],
      'whodunit.cause: the record says "killed", the case "fault"',
    ],
  ])('reports %s', (_, deaths, records, difference) => {
    expect(differences(deaths, records)).toContain(difference);
  });
});

describe('invented', () => {
  const isMortal = ({ resource }: LogRecord) => resource['process.executable.name'] === 'mortal';
  const cleared = (by: string): LogRecord => ({
    ...record,
    attributes: { ...record.attributes, 'whodunit.sender.command_line': by },
  });

  it('returns only records of a mortal whose termination no undertaker reported', () => {
    expect(invented([record], [truth], [], isMortal)).toEqual([]);
    expect(invented([record], [{ ...truth, pid: 43 }], [], isMortal)).toEqual([record]);
    expect(invented([record], [], [], () => false)).toEqual([]);
  });

  it('ignores processes that a failed undertaker killed', () => {
    const byUndertaker = cleared('/build/undertaker sigkill');
    expect(invented([byUndertaker], [], ['sigkill'], isMortal)).toEqual([]);
    expect(invented([byUndertaker], [], ['kill'], isMortal)).toEqual([byUndertaker]);
  });

  it('ignores processes that a failed undertaker started', () => {
    const started = {
      ...record,
      attributes: {
        ...record.attributes,
        'whodunit.process.ancestor_command_lines': ['/undertaker sigkill (pid 5, uid 0)', '/init'],
      },
    };
    expect(invented([started], [], ['sigkill'], isMortal)).toEqual([]);
    expect(invented([started], [], ['kill'], isMortal)).toEqual([started]);
  });

  it('ignores processes that an undertaker without arguments killed, which had started them, if one failed', () => {
    const by = (pid: number): LogRecord => ({
      ...record,
      attributes: { 'whodunit.sender.name': 'undertaker', 'whodunit.sender.pid': pid },
      resource: { ...record.resource, 'process.parent_pid': 5 },
    });
    expect(invented([by(5)], [], ['sigkill'], isMortal)).toEqual([]);
    expect(invented([by(6)], [], ['sigkill'], isMortal)).toEqual([by(6)]);
    expect(invented([by(5)], [], [], isMortal)).toEqual([by(5)]);
  });
});
