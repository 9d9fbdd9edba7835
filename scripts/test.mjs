// `npm test`: installs, builds, and runs all the tests. Last line: `N passed, N failed`, summed from the runners' own reports.
//
// The suites that need the real kernel need root and BPF. Where these are missing they are skipped, loudly; with CI=true a
// skip is a failure, so that no green run ever was one without them.
//
// SPDX-License-Identifier: Apache-2.0

import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { collector } from './build-collector.mjs';
import { jaeger } from './build-jaeger.mjs';
import { testChaos } from './chaos.mjs';
import { testDelivery } from './delivery.mjs';
import { fuzz } from './fuzz.mjs';
import { testKernels } from './kernel-matrix.mjs';
import { requirePackages } from './packages.mjs';
import { isRoot } from './privileges.mjs';
import { sdkJobs } from './sdk-jobs.mjs';
import { buildMortal, buildUndertaker, command, installAndBuild, LOADER, ROOT, run, step } from './steps.mjs';
import { testConfigs } from './test-configs.mjs';
import { vitest } from './vitest.mjs';
import { prepareWorld } from './world.mjs';

const UNIT_TESTS = [
  'test/cli.test.ts',
  'test/pipeline.test.ts',
  'test/core',
  'test/config/',
  'test/io',
  'test/bench',
  'test/deaths/compare.test.ts',
  'test/deaths/judge.test.ts',
  'test/deaths/living.test.ts',
  'test/deaths/score',
  'test/chaos/ledger.test.ts',
];
/** What needs the kernel: run one after the other, each with a loader, a service and a collector of its own. */
const KERNEL_TESTS = ['test/deaths/deaths.test.ts', 'test/deaths/normal-exits.test.ts', 'test/story'];

/** Each fuzzer, s. */
const FUZZ_SECONDS = 5;
const FUZZ_SECONDS_IN_CI = 60;

const total = { passed: 0, failed: 0, skipped: 0 };

/** A skipped test has failed in CI. */
function count(suite, { passed, failed, skipped }) {
  const [failures, left] = process.env.CI === 'true' ? [failed + skipped, 0] : [failed, skipped];
  total.passed += passed;
  total.failed += failures;
  total.skipped += left;
  console.log(`${suite}: ${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
}

/** Runs a program, `onLine` taking its standard output; the rest goes to the screen. Gives the exit code. */
function lines(program, args, onLine) {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', onLine);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
}

/** go test: a test counts if it has no tests inside; a package that fails without a failed test (it does not build) counts as one. */
async function goTests() {
  const results = new Map();
  const failedPackages = new Set();
  const code = await lines('go', ['test', '-json', './...'], (line) => {
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
  return { passed: leaves.length - failed.length - skipped.length, failed: failures, skipped: skipped.length };
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

  // A test lets the service tell systemd of itself, another makes a certificate. Elsewhere than in CI they need nothing: they fail, and say why.
  if (process.env.CI === 'true') await requirePackages(['systemd', 'openssl'], 'The tests of sd_notify and of TLS');
  await step('go vet', () => run('go', ['vet', './...']));
  count('go test', await goTests());
  count('unit tests', await vitest(UNIT_TESTS));
  count('fuzzers', await fuzz(process.env.CI === 'true' ? FUZZ_SECONDS_IN_CI : FUZZ_SECONDS));

  const missing = whatIsMissing();
  if (missing === undefined) {
    await prepareWorld();
    const prepared = {
      WHODUNIT_TEST_COLLECTOR: await collector(),
      WHODUNIT_TEST_JAEGER: await jaeger(),
      WHODUNIT_TEST_JOBS: await sdkJobs(),
    };
    count('tests on this kernel', await vitest(KERNEL_TESTS, prepared));
    count('chaos', await testChaos());
    count('delivery', await testDelivery());
    count('configurations', await testConfigs());
    count('kernel matrix', await testKernels());
  } else {
    console.log(`SKIPPED: test/deaths, test/story, test/chaos and test/kernels, because ${missing}`);
    console.log('SKIPPED: nothing was tested on a real kernel and into a real collector. Run `sudo npm test`.');
    count('tests on this kernel', { passed: 0, failed: 0, skipped: 1 });
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  return total.failed === 0 ? 0 : 1;
});
