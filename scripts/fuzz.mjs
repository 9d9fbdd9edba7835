// The fuzzers, side by side, each for the same time: every Fuzz function of loader/ with Go's own fuzzer, and the service's decoder of
// the wire (test/fuzz) with fast-check.
//
// SPDX-License-Identifier: Apache-2.0

import { Failure, run } from './steps.mjs';
import { vitest } from './vitest.mjs';

const PACKAGES = ['./loader/internal/wire', './loader/internal/server'];
/**
 * How Go before 1.27 now and then says that the time is over (https://go.dev/issue/75804). A finding says which input failed, and is
 * written to testdata.
 */
const TIME_IS_OVER = /^--- FAIL: Fuzz\w+ \(\S+\)\n {4}context deadline exceeded\nFAIL$/m;

/** Gives counts like vitest's: each fuzzer is a test. */
export async function fuzz(seconds) {
  const fuzzers = (await Promise.all(PACKAGES.map(fuzzersOf))).flat();
  console.error(`fuzzing for ${seconds} s: ${fuzzers.map(({ name }) => name).join(', ')}, test/fuzz`);
  const service = vitest(['test/fuzz'], { WHODUNIT_FUZZ_SECONDS: String(seconds) });
  const counts = await Promise.all([...fuzzers.map((fuzzer) => fuzzGo(fuzzer, seconds)), service]);
  const sum = (of) => counts.reduce((total, one) => total + one[of], 0);
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
}

async function fuzzersOf(path) {
  const listed = await run('go', ['test', '-list', '^Fuzz', path]);
  const names = listed.split('\n').filter((name) => /^Fuzz/.test(name));
  if (names.length === 0) throw new Failure(`there is no fuzzer in ${path}.`);
  return names.map((name) => ({ name, path }));
}

/** With one worker, since there are others beside it. */
async function fuzzGo({ name, path }, seconds) {
  const args = ['-run', '^$', '-fuzz', `^${name}$`, '-fuzztime', `${seconds}s`, '-parallel', '1'];
  let failure;
  const output = await run('go', ['test', ...args, path]).catch((error) => {
    if (!(error instanceof Failure)) throw error;
    failure = error;
    return error.output;
  });
  if (failure === undefined || TIME_IS_OVER.test(output)) {
    console.log(`${name}: ${output.split('\n').findLast((line) => line.startsWith('fuzz: '))}`);
    return { passed: 1, failed: 0, skipped: 0 };
  }
  console.log(`${output.trimEnd()}\n${failure.message}`);
  return { passed: 0, failed: 1, skipped: 0 };
}
