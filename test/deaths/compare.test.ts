// SPDX-License-Identifier: Apache-2.0
// The suite must be able to fail: compare() finds every wrong field of a record and every wrong expectation.
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../stack/otlp-file.ts';
import type { Expectation } from './cases.ts';
import { compare, isAbout } from './compare.ts';
import type { Death } from './truth.ts';

const truth: Death = {
  pid: 42,
  vpid: 7,
  parent_pid: 40,
  comm: 'mortal',
  exe: '/build/mortal',
  args: ['mortal', 'wait'],
  uid: 1000,
  cgroups: ['/', '/memory/box'],
  start_unix_ns: '1795444615150000000',
  tick_ns: 10_000_000,
  before_unix_ns: '1795444615254134791',
  after_unix_ns: '1795444615254474140',
  status_raw: 9,
  exit_code: null,
  signal: 9,
  core_dumped: false,
  oom: { total_vm: 9, anon_rss: 8, file_rss: 7, shmem_rss: 6, score_adj: 0 },
  killer: {
    pid: 50,
    comm: 'killer',
    exe: '/build/killer',
    args: ['killer', 'x'],
    uid: 0,
    ancestors: ['sh(40)', 'init(1)'],
  },
};

const expected: Expectation = {
  cause: 'killed',
  errorType: 'SIGKILL',
  senderKind: 'process',
  attributes: { 'whodunit.signal.name': 'SIGKILL', 'whodunit.signal.code': /^SI_/, 'whodunit.fault.address': null },
};

const record: LogRecord = {
  eventName: 'whodunit.process.termination',
  timeUnixNs: 1_795_444_615_254_300_000n,
  observedTimeUnixNs: 1_795_444_615_255_000_000n,
  severityNumber: 17,
  body: 'mortal (pid 42) was killed.',
  traceId: '',
  spanId: '',
  resourceSchemaUrl: undefined,
  scope: 'whodunit',
  resource: {
    'process.pid': 42,
    'process.vpid': 7,
    'process.parent_pid': 40,
    'process.creation.time': '2026-11-23T14:36:55.153Z',
    'process.executable.path': '/build/mortal',
    'process.executable.name': 'mortal',
    'process.command': 'mortal',
    'process.command_args': ['mortal', 'wait'],
    'process.args_count': 2,
    'process.user.id': 1000,
    'process.linux.cgroup': '/memory/box',
  },
  attributes: {
    'whodunit.cause': 'killed',
    'error.type': 'SIGKILL',
    'process.exit.time': '2026-11-23T14:36:55.254300Z',
    'whodunit.process.uptime': 0.101,
    'whodunit.signal.number': 9,
    'whodunit.signal.name': 'SIGKILL',
    'whodunit.signal.code': 'SI_USER',
    'whodunit.core_dumped': false,
    'whodunit.oom.total_vm': 9,
    'whodunit.oom.anon_rss': 8,
    'whodunit.oom.file_rss': 7,
    'whodunit.oom.shmem_rss': 6,
    'whodunit.oom.score_adj': 0,
    'whodunit.sender.kind': 'process',
    'whodunit.sender.pid': 50,
    'whodunit.sender.executable.path': '/build/killer',
    'whodunit.sender.executable.name': 'killer',
    'whodunit.sender.command_line': 'killer x',
    'whodunit.sender.user.id': 0,
    'whodunit.sender.ancestors': ['sh(40)', 'init(1)'],
  },
};

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
    ['no killer', { killer: null }, 'nobody was told to kill'],
  ])('holds the record against the truth: %s', (_, other, difference) => {
    expect(compare({ ...truth, ...other }, expected, record).join('\n')).toContain(difference);
  });

  it('takes another process with the same pid for another one', () => {
    expect(isAbout({ ...truth, start_unix_ns: '1795444605150000000' }, record)).toBe(false);
    expect(isAbout({ ...truth, pid: 43 }, record)).toBe(false);
  });
});
