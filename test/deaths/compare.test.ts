// SPDX-License-Identifier: Apache-2.0
// The suite must be able to fail: compare() finds every wrong field of a record and every wrong expectation.
import { describe, expect, it } from 'vitest';
import type { Expectation } from './cases/case.ts';
import { compare, isAbout } from './compare.ts';
import { expected, record, truth } from './sample.ts';
import type { Death } from './truth.ts';

describe('compare', () => {
  it('finds nothing in a right record', () => {
    expect(compare(truth, expected, record)).toEqual([]);
    expect(isAbout(truth, record)).toBe(true);
  });

  it.each(Object.keys(record.resource))('finds a wrong and a missing %s on the resource', (key) => {
    const wrong = { ...record, resource: { ...record.resource, [key]: 'wrong' } };
    expect(compare(truth, expected, wrong).join('\n')).toContain(key);
    const { [key]: _, ...rest } = record.resource;
    expect(compare(truth, expected, { ...record, resource: rest }).join('\n')).toContain(key);
  });

  it.each(Object.keys(record.attributes))('finds a wrong and a missing %s', (key) => {
    const wrong = { ...record, attributes: { ...record.attributes, [key]: 'wrong' } };
    expect(compare(truth, expected, wrong).join('\n')).toContain(key);
    const { [key]: _, ...rest } = record.attributes;
    expect(compare(truth, expected, { ...record, attributes: rest }).join('\n')).toContain(key);
  });

  it.each<[string, Partial<Expectation>, string]>([
    ['another cause', { cause: 'fault' }, 'whodunit.cause: the record says "killed", the case "fault"'],
    ['another error type', { errorType: 'SIGTERM' }, 'error.type: the record says "SIGKILL", the case "SIGTERM"'],
    [
      'another kind of sender',
      { senderKind: 'kernel' },
      'whodunit.sender.pid: the record says 50, the undertaker nothing',
    ],
    [
      'an attribute that is not there',
      { attributes: { 'thread.name': 'x' } },
      'thread.name: the record says nothing, the case "x"',
    ],
    ['another sentence', { body: /^java / }, 'body: the record says "mortal (pid 42) was killed."'],
    ['no attribute that is there', { attributes: { 'whodunit.signal.code': null } }, 'whodunit.signal.code'],
  ])('fails a deliberately wrong expectation: %s', (_, wrong, difference) => {
    expect(compare(truth, { ...expected, ...wrong }, record).join('\n')).toContain(difference);
  });

  it.each<[string, Partial<Death>, string]>([
    ['an exit', { exit_code: 3, signal: null }, 'process.exit.code'],
    ['a core', { core_dumped: true }, 'whodunit.core_dumped'],
    ['another signal', { signal: 15 }, 'whodunit.signal.number'],
    [
      'an earlier death',
      { before_unix_ns: '1795444615154000000', after_unix_ns: '1795444615155000000' },
      'process.exit.time',
    ],
    ['no killer', { killer: null }, 'no process was ordered to kill'],
  ])('holds the record against the truth: %s', (_, other, difference) => {
    expect(compare({ ...truth, ...other }, expected, record).join('\n')).toContain(difference);
  });

  it('holds the error type against the exit code where the case leaves it to the parent', () => {
    const exited = { ...truth, exit_code: 3, signal: null };
    const left = { ...expected, errorType: null };
    expect(compare(exited, left, record).join('\n')).toContain('error.type: the record says "SIGKILL", the case "3"');
  });

  it('takes another process with the same pid for another one', () => {
    expect(isAbout({ ...truth, start_unix_ns: '1795444605150000000' }, record)).toBe(false);
    expect(isAbout({ ...truth, pid: 43 }, record)).toBe(false);
  });
});
