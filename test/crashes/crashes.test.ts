// SPDX-License-Identifier: Apache-2.0
// Crashes real programs under the real loader and service: each record has the functions in order, and the sentence that explains the crash. A name
// is never wrong, and a frame that is a guess says so. scripts/suites/crashes.ts sets how often each program crashes.
import { afterAll, expect, it } from 'vitest';
import { makeCgroup } from '../../scripts/stack/cgroup.ts';
import { watched } from '../support/watched.ts';
import type { Case } from './case.ts';
import { C } from './cases/c.ts';
import { FAULTS } from './cases/faults.ts';
import { LANGUAGES } from './cases/languages.ts';
import { type Crashed, crash, type Line } from './crashed.ts';

/** Programs that crash at the same time. */
const TOGETHER = 4;
const {
  WHODUNIT_TEST_CRASHES_TIMES: times = '1',
  WHODUNIT_TEST_CRASHES_ONLY: only = '',
  WHODUNIT_TEST_CRASHES_STACK: stack = '1',
} = process.env;

/** Crashes of the machine's other programs are not watched. */
const cgroup = makeCgroup('crashes', 'v2');
const watch = watched({ WHODUNIT_REPORT: 'all' }, { WHODUNIT_SCOPE: cgroup.path, WHODUNIT_STACK: stack });
afterAll(() => cgroup.remove());

const cases = [...C, ...FAULTS, ...LANGUAGES]
  .filter(({ name }) => name.includes(only))
  .filter(({ onlyAtExit }) => !onlyAtExit || stack !== 'delivery');
it.each(cases)(`$name (${times} times)`, async (one) => {
  for (let done = 0; done < Number(times); done += TOGETHER) {
    const batch = Math.min(TOGETHER, Number(times) - done);
    for (const crashed of await Promise.all(Array.from({ length: batch }, () => crash(one, watch, cgroup))))
      check(one, crashed);
  }
});

/** Functions of a C library or a runtime, which a static program has in its own file. */
const RUNTIME =
  /^(?:__?libc_start\w*|libc_start_main\w*|start_thread|__clone3?|_+pthread_kill\w*|gsignal|__restore_sigs|raise|abort|__assert\w*|__libc_message|_start_c|std::.*)$/;

function check(one: Case, { record, lines, names, own, ending }: Crashed): void {
  const { attributes, body } = record;
  const evidence = JSON.stringify(attributes['whodunit.evidence']);
  const all = `${body}\n${attributes['exception.stacktrace']}\n${evidence}`;
  if (one.unknown !== undefined) expect([lines, evidence], all).toEqual([[], expect.stringContaining(one.unknown)]);
  expect([ending, attributes['error.type']], all).toEqual(
    one.child ? [ending, one.child] : [one.ends, String(one.ends)],
  );
  expect(
    names.filter(({ name, truth }) => name !== truth),
    all,
  ).toEqual([]);
  expect(missing(lines, one.functions), all).toEqual([]);
  expect(
    own.filter((name) => ![...one.functions, ...(one.also ?? [])].includes(name) && !RUNTIME.test(name)),
    all,
  ).toEqual([]);
  expect(sentenceOf(String(body)), all).toEqual(
    one.says instanceof RegExp ? expect.stringMatching(one.says) : one.says,
  );
  const place = lines.find(({ name, guess }) => name === one.place && !guess);
  if (one.place !== null) expect(attributes['whodunit.crash.place'], all).toBe(place?.label);
  if (!one.guesses)
    expect(
      lines.filter(({ guess }) => guess),
      all,
    ).toEqual([]);
  if (!one.incomplete && !one.guesses) expect(evidence, all).not.toContain('not complete');
}

/** The clause after the first colon, without the place. */
function sentenceOf(body: string): string | undefined {
  return /^.*? \(pid .*?: (.*?)(?:, in (?!its working directory).*)?\.$/s.exec(body)?.[1];
}

/** The functions that are not in the stack, in this order. */
function missing(lines: readonly Line[], functions: readonly string[]): readonly string[] {
  let next = 0;
  for (const { name } of lines) if (name === functions[next]) next++;
  return functions.slice(next);
}
