// SPDX-License-Identifier: Apache-2.0
// The comparison must be able to fail: a termination that is missed, reported twice, reported without need, or made up.
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { checkCase, invented } from './check.ts';
import { expected, record, truth } from './sample.ts';

const differences = (deaths: Parameters<typeof checkCase>[0]['deaths'], records: readonly LogRecord[]) =>
  checkCase({ deaths }, [truth], records).flatMap((finding) => finding.differences);

describe('checkCase', () => {
  it('finds nothing where each death has its one right record', () => {
    expect(differences([expected], [record])).toEqual([]);
    expect(differences([], [])).toEqual([]);
  });

  it.each([
    ['a missing record', [expected], [], 'process 42 has 0 records instead of 1'],
    ['a second record', [expected], [record, record], 'process 42 has 2 records instead of 1'],
    ['a record of a termination that needs none', [], [record], 'process 42 has 1 records instead of 0'],
    ['a death too few', [expected, expected], [record], '1 deaths instead of 2'],
    [
      'a wrong record',
      [{ ...expected, cause: 'fault' }],
      [record],
      'whodunit.cause: the record says "killed", the case "fault"',
    ],
  ])('finds %s', (_, deaths, records, difference) => {
    expect(differences(deaths, records)).toContain(difference);
  });
});

describe('invented', () => {
  const isMortal = ({ resource }: LogRecord) => resource['process.executable.name'] === 'mortal';
  const cleared = (by: string): LogRecord => ({
    ...record,
    attributes: { ...record.attributes, 'whodunit.sender.command_line': by },
  });

  it('finds the record of a mortal that no undertaker saw die, and no other', () => {
    expect(invented([record], [truth], [], isMortal)).toEqual([]);
    expect(invented([record], [{ ...truth, pid: 43 }], [], isMortal)).toEqual([record]);
    expect(invented([record], [], [], () => false)).toEqual([]);
  });

  it('leaves out whom an undertaker killed that had failed, and only those', () => {
    const byUndertaker = cleared('/build/undertaker sigkill');
    expect(invented([byUndertaker], [], ['sigkill'], isMortal)).toEqual([]);
    expect(invented([byUndertaker], [], ['kill'], isMortal)).toEqual([byUndertaker]);
  });
});
