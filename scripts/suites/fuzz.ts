// SPDX-License-Identifier: Apache-2.0
// Runs all fuzzers in parallel for the same time: every Fuzz function of loader/ with Go's fuzzer, and the service's wire decoder
// (test/fuzz) with fast-check.
import { Failure } from '../base/command.ts';
import { run } from '../base/run.ts';
import { print, progress } from '../base/screen.ts';
import { add, type Counts, NO_TESTS } from './counts.ts';
import { vitest } from './vitest.ts';

const PACKAGES = './loader/...';
/**
 * How Go before 1.27 sometimes reports the end of the fuzz time (https://go.dev/issue/75804). A real failure also names the failing
 * input, which is written to testdata.
 */
const TIME_IS_OVER = /^--- FAIL: Fuzz\w+ \(\S+\)\n {4}context deadline exceeded\nFAIL$/m;

export interface GoFuzzer {
  readonly package: string;
  readonly name: string;
}

/** Each fuzzer counts as a test. */
export async function fuzz(seconds: number): Promise<Counts> {
  const fuzzers = listedFuzzers(await run('go', ['test', '-list', '^Fuzz', '-json', PACKAGES]));
  if (fuzzers.length === 0) throw new Failure(`${PACKAGES} has no fuzzers.`);
  progress(`fuzzing for ${seconds} s: ${fuzzers.map(({ name }) => name).join(', ')}, test/fuzz\n`);
  const service = vitest(['test/fuzz'], { WHODUNIT_FUZZ_SECONDS: String(seconds) });
  const counts = await Promise.all([...fuzzers.map((fuzzer) => fuzzGo(fuzzer, seconds)), service]);
  return counts.reduce(add, NO_TESTS);
}

/** Parses the output of `go test -list '^Fuzz' -json`. */
export function listedFuzzers(output: string): GoFuzzer[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { Package: string; Output?: string })
    .flatMap(({ Package, Output = '' }) =>
      /^Fuzz\w+$/m.test(Output) ? [{ package: Package, name: Output.trim() }] : [],
    );
}

/**
 * Uses one worker, because the other fuzzers run in parallel. Without its limit, Go spends up to a minute on making one interesting input smaller: with
 * large inputs, that is all of the time.
 */
async function fuzzGo({ package: path, name }: GoFuzzer, seconds: number): Promise<Counts> {
  const args = [
    '-run',
    '^$',
    '-fuzz',
    `^${name}$`,
    '-fuzztime',
    `${seconds}s`,
    '-fuzzminimizetime',
    '100x',
    '-parallel',
    '1',
  ];
  let failure: Failure | undefined;
  const output = await run('go', ['test', ...args, path]).catch((error: unknown) => {
    if (!(error instanceof Failure)) throw error;
    failure = error;
    return error.output;
  });
  if (failure === undefined || TIME_IS_OVER.test(output)) {
    print(`${name}: ${output.split('\n').findLast((line) => line.startsWith('fuzz: '))}`);
    return { passed: 1, failed: [], skipped: [] };
  }
  print(`${output.trimEnd()}\n${failure.message}`);
  return { passed: 0, failed: [`${path}: ${name}`], skipped: [] };
}
