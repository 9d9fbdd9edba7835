// SPDX-License-Identifier: Apache-2.0
// The suite must be able to fail: compare() reports every wrong field of a record and every wrong expectation.
import { describe, expect, it } from 'vitest';
import type { Expectation } from './cases/case.ts';
import { compare, isAbout } from './compare.ts';
import { expected, record, truth } from './sample.ts';
import type { Death } from './truth.ts';

describe('compare', () => {
  it('reports no difference for a correct record', () => {
    expect(compare(truth, expected, record)).toEqual([]);
    expect(isAbout(truth, record)).toBe(true);
  });

  it.each(Object.keys(record.resource))('reports a wrong or missing %s on the resource', (key) => {
    const wrong = { ...record, resource: { ...record.resource, [key]: 'wrong' } };
    expect(compare(truth, expected, wrong).join('\n')).toContain(key);
    const { [key]: _, ...rest } = record.resource;
    expect(compare(truth, expected, { ...record, resource: rest }).join('\n')).toContain(key);
  });

  it.each(Object.keys(record.attributes))('reports a wrong or missing %s', (key) => {
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
      'an attribute that is absent',
      { attributes: { 'thread.name': 'x' } },
      'thread.name: the record says nothing, the case "x"',
    ],
    ['another sentence', { body: /^java / }, 'body: the record says "mortal (pid 42) was killed."'],
    [
      'an attribute that must be absent but is present',
      { attributes: { 'whodunit.signal.code': null } },
      'whodunit.signal.code',
    ],
  ])('reports a difference for a wrong expectation: %s', (_, wrong, difference) => {
    expect(compare(truth, { ...expected, ...wrong }, record).join('\n')).toContain(difference);
  });

  it.each<[string, Partial<Death>, string]>([
    ['an exit', { exit_code: 3, signal: null }, 'process.exit.code'],
    ['a core', { core_dumped: true }, 'whodunit.core_dumped'],
    ['another signal', { signal: 15 }, 'whodunit.signal.number'],
    [
      'an earlier termination',
      { before_unix_ns: '1795444615154000000', after_unix_ns: '1795444615155000000' },
      'process.exit.time',
    ],
    ['no killer', { killer: null }, 'no process was ordered to kill'],
  ])('compares the record with the truth: %s', (_, other, difference) => {
    expect(compare({ ...truth, ...other }, expected, record).join('\n')).toContain(difference);
  });

  it('compares the error type with the exit code of the parent where the case has none', () => {
    const exited = { ...truth, exit_code: 3, signal: null };
    const left = { ...expected, errorType: null };
    expect(compare(exited, left, record).join('\n')).toContain('error.type: the record says "SIGKILL", the case "3"');
  });

  it('does not confuse two processes with the same pid', () => {
    expect(isAbout({ ...truth, start_unix_ns: '1795444605150000000' }, record)).toBe(false);
    expect(isAbout({ ...truth, pid: 43 }, record)).toBe(false);
  });
});
