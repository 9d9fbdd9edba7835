// SPDX-License-Identifier: Apache-2.0
// Parses the reports of Go's test runner.
import { describe, expect, it } from 'vitest';
import { listedFuzzers } from '../../scripts/suites/fuzz.ts';
import { countEvents, type TestEvent } from '../../scripts/suites/go.ts';

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
      failed: 0,
      skipped: 1,
    });
  });

  it('counts a failed test once, and not its package', () => {
    const events = [event('fail', 'TestA/one'), event('fail', 'TestA'), event('fail')];
    expect(countEvents(events, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  it('counts a package that does not build as a failure', () => {
    const events = [event('pass', 'TestA'), event('fail', undefined, 'whodunit/other')];
    expect(countEvents(events, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  it('counts a failure of the runner that no event names', () => {
    expect(countEvents([], 2)).toEqual({ passed: 0, failed: 1, skipped: 0 });
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
