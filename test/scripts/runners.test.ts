// SPDX-License-Identifier: Apache-2.0
// Parses the reports of the test runners.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/paths.ts';
import { listedFuzzers } from '../../scripts/suites/fuzz.ts';
import { countEvents, type TestEvent } from '../../scripts/suites/go.ts';
import { countReport } from '../../scripts/suites/vitest.ts';

const event = (Action: string, Test?: string, Package = 'whodunit/loader'): TestEvent => ({
  Action,
  Package,
  ...(Test !== undefined && { Test }),
});

describe('go test', () => {
  it('counts only tests without subtests, with parallel tests too', () => {
    const events = [
      event('run', 'TestA'),
      event('pass', 'TestA/one'),
      event('skip', 'TestA/two'),
      event('pass', 'TestA'),
    ];
    expect(countEvents([...events, event('pass', 'TestAb'), event('pass')], 0)).toEqual({
      passed: 2,
      failed: [],
      skipped: ['whodunit/loader: TestA/two'],
    });
  });

  it('counts a failed test once, and not its package', () => {
    const events = [event('fail', 'TestA/one'), event('fail', 'TestA'), event('fail')];
    expect(countEvents(events, 1)).toEqual({ passed: 0, failed: ['whodunit/loader: TestA/one'], skipped: [] });
  });

  it('counts a package that does not build as a failure', () => {
    const events = [event('pass', 'TestA'), event('fail', undefined, 'whodunit/other')];
    expect(countEvents(events, 1)).toEqual({
      passed: 1,
      failed: ['whodunit/other (failed outside its tests)'],
      skipped: [],
    });
  });

  it('counts a failure of the runner that no event names', () => {
    expect(countEvents([], 2)).toEqual({ passed: 0, failed: ['go test (ended with 2)'], skipped: [] });
  });
});

describe('vitest', () => {
  type Test = Parameters<typeof countReport>[0]['testResults'][number]['assertionResults'][number];
  const test = (title: string, status: string, ancestorTitles: string[] = []): Test => ({
    title,
    status,
    ancestorTitles,
  });
  const file = (path: string, status: 'passed' | 'failed', ...assertionResults: Test[]) => ({
    name: join(ROOT, path),
    status,
    assertionResults,
  });

  it('names failed and skipped tests by file and name', () => {
    const tests = [test('adds', 'passed'), test('fails', 'failed', ['a sum', 'of two']), test('waits', 'skipped')];
    const report = { testResults: [file('test/a.test.ts', 'failed', ...tests)] };
    expect(countReport(report, 1, ['test'])).toEqual({
      passed: 1,
      failed: ['test/a.test.ts: a sum > of two > fails'],
      skipped: ['test/a.test.ts: waits'],
    });
  });

  it('counts a file that cannot be loaded as a failure', () => {
    const report = {
      testResults: [file('test/a.test.ts', 'failed'), file('test/b.test.ts', 'passed', test('b', 'passed'))],
    };
    expect(countReport(report, 1, ['test'])).toEqual({
      passed: 1,
      failed: ['test/a.test.ts (failed outside its tests)'],
      skipped: [],
    });
  });

  it('counts a path without tests as a failure', () => {
    const report = { testResults: [file('test/a.test.ts', 'passed', test('a', 'passed'))] };
    expect(countReport(report, 0, ['test/a.test.ts', 'test/moved'])).toEqual({
      passed: 1,
      failed: ['test/moved (no test ran)'],
      skipped: [],
    });
  });

  it('counts a failure of vitest that the report does not show', () => {
    const report = { testResults: [file('test/a.test.ts', 'passed', test('a', 'passed'))] };
    expect(countReport(report, 1, ['test']).failed).toEqual(['test (vitest ended with 1)']);
  });
});

it('finds the fuzzers of each package', () => {
  const output = [
    { Action: 'output', Package: 'whodunit/loader/wire', Output: 'FuzzDecode\n' },
    { Action: 'output', Package: 'whodunit/loader/wire', Output: 'ok  \twhodunit/loader/wire\t0.01s\n' },
    { Action: 'pass', Package: 'whodunit/loader/wire' },
  ];
  expect(listedFuzzers(output.map((line) => `${JSON.stringify(line)}\n`).join(''))).toEqual([
    { package: 'whodunit/loader/wire', name: 'FuzzDecode' },
  ]);
});
