// `npm test`: installs, builds, and runs all the tests. Last line: `N passed, N failed`, summed from the runners' own reports.
//
// The suites that need the real kernel need root and BPF. Where these are missing they are skipped, loudly; with CI=true a
// skip is a failure, so that no green run ever was one without them.
//
// SPDX-License-Identifier: Apache-2.0

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { collector } from './build-collector.mjs';
import { isRoot } from './privileges.mjs';
import { buildMortal, buildUndertaker, command, installAndBuild, LOADER, NODE, ROOT, run, step } from './steps.mjs';

const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');
const UNIT_TESTS = ['test/core', 'test/io', 'test/deaths/compare.test.ts'];
/** What needs the kernel: run one after the other, each with a loader, a service and a collector of its own. */
const KERNEL_TESTS = ['test/deaths/deaths.test.ts', 'test/deaths/normal-exits.test.ts', 'test/story'];

const total = { passed: 0, failed: 0, skipped: 0 };

/** A skipped test has failed in CI. */
function count(suite, passed, failed, skipped = 0) {
  const [failures, left] = process.env.CI === 'true' ? [failed + skipped, 0] : [failed, skipped];
  total.passed += passed;
  total.failed += failures;
  total.skipped += left;
  console.log(`${suite}: ${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
}

/** Runs a program with its output on the screen; `onLine`, if given, takes its standard output instead. */
function show(program, args, env = {}, onLine) {
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', onLine === undefined ? 'inherit' : 'pipe', 'inherit'],
  });
  if (onLine !== undefined) createInterface({ input: child.stdout }).on('line', onLine);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code));
  });
}

/** go test: a test counts if it has no tests inside; a package that fails without a failed test (it does not build) counts as one. */
async function goTests() {
  const results = new Map();
  const failedPackages = new Set();
  const code = await show('go', ['test', '-json', './...'], {}, (line) => {
    const event = JSON.parse(line);
    if (event.Output !== undefined && !/^(=== |\s*--- PASS|PASS$)/.test(event.Output))
      process.stdout.write(event.Output);
    if (!['pass', 'fail', 'skip'].includes(event.Action)) return;
    if (event.Test !== undefined) results.set(`${event.Package} ${event.Test}`, event.Action);
    else if (event.Action === 'fail') failedPackages.add(event.Package);
  });
  const names = [...results.keys()];
  const leaves = names.filter((name) => !names.some((other) => other.startsWith(`${name}/`)));
  const failed = leaves.filter((name) => results.get(name) === 'fail');
  const skipped = leaves.filter((name) => results.get(name) === 'skip');
  for (const name of failed) failedPackages.delete(name.split(' ')[0]);
  let failures = failed.length + failedPackages.size;
  if (code !== 0 && failures === 0) failures = 1;
  count('go test', leaves.length - failed.length - skipped.length, failures, skipped.length);
}

/** Runs the test files at or below each path. A path without any is a failure: tests must not vanish unnoticed. */
async function vitest(suite, paths, env = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-vitest-'));
  const file = join(directory, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  try {
    const code = await show(NODE, [VITEST, 'run', ...reporters, ...paths], env);
    const report = JSON.parse(readFileSync(file, 'utf8'));
    const vanished = paths.filter((path) => !report.testResults.some(({ name }) => name.startsWith(join(ROOT, path))));
    for (const path of vanished) console.log(`no test ran at ${path}`);
    // A file that cannot even be loaded has no failed test: the exit code knows.
    const failed = (report.numFailedTests || (code === 0 ? 0 : 1)) + vanished.length;
    count(suite, report.numPassedTests, failed, report.numPendingTests + report.numTodoTests);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    console.log(`${suite}: no report was written`);
    count(suite, 0, 1);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Why the kernel's suites cannot run here; undefined if they can. */
function whatIsMissing() {
  if (!isRoot()) return 'this is not root';
  const checked = spawnSync(LOADER, ['check'], { encoding: 'utf8' });
  if (checked.status !== 0) return `\`${LOADER} check\` says no:\n${checked.stdout}${checked.stderr}`;
  return undefined;
}

await command(async () => {
  await installAndBuild();
  await buildMortal();
  await buildUndertaker();

  await step('go vet', () => run('go', ['vet', './...']));
  await goTests();
  await vitest('unit tests', UNIT_TESTS);

  const missing = whatIsMissing();
  if (missing === undefined) {
    await vitest('tests on this kernel', KERNEL_TESTS, { WHODUNIT_TEST_COLLECTOR: await collector() });
  } else {
    console.log(`SKIPPED: test/deaths and test/story, because ${missing}`);
    console.log('SKIPPED: nothing was tested on a real kernel and into a real collector. Run `sudo npm test`.');
    count('tests on this kernel', 0, 0, 1);
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  return total.failed === 0 ? 0 : 1;
});
