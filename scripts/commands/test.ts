// SPDX-License-Identifier: Apache-2.0
// `npm test`: builds, and runs all the tests. Ends with a table of the stages and their times, and the line `N passed, N failed`, summed
// from the runners' own reports.
//
// The suites that need the real kernel need root and BPF. Where these are missing they are skipped, and the output says so; with
// CI=true a skip is a failure, so that no green run was one without them.
//
// Unit tests, Go tests and fuzzers run side by side, and everything that has to be built or fetched is built or fetched
// beside whatever does not need it yet. On this kernel, the suites that measure times and count losses run alone; those of
// delivery and of configurations run side by side. What happens in emulated machines runs beside all of them, at a lower priority, too.
import { spawnSync } from 'node:child_process';
import { command } from '../base/command.ts';
import { requirePackages } from '../base/debian.ts';
import { isRoot } from '../base/privileges.ts';
import { run, step } from '../base/run.ts';
import { print } from '../base/screen.ts';
import { buildCollector } from '../build/collector.ts';
import { buildJaeger } from '../build/jaeger.ts';
import { makePackages } from '../build/packages.ts';
import { build, buildMortal, buildUndertaker } from '../build/programs.ts';
import { prepareSdkJobs } from '../build/sdk-jobs.ts';
import { prepareWorld } from '../build/world.ts';
import { LOADER } from '../paths.ts';
import { KEYS_HERE, KEYS_IN_MACHINES, prepareChaos, testChaos } from '../suites/chaos.ts';
import { prepareConfigs, testConfigs } from '../suites/configs.ts';
import { report } from '../suites/counts.ts';
import { prepareDelivery, testDelivery } from '../suites/delivery.ts';
import { fuzz } from '../suites/fuzz.ts';
import { goTests } from '../suites/go.ts';
import { bootKernels, type Machine, prepareKernels, testKernels } from '../suites/kernels.ts';
import { type Background, Stages } from '../suites/stages.ts';
import { vitest } from '../suites/vitest.ts';

const UNIT_TESTS = [
  'test/cli.test.ts',
  'test/pipeline.test.ts',
  'test/core',
  'test/config/',
  'test/io',
  'test/bench',
  'test/scripts',
  'test/deaths/compare.test.ts',
  'test/deaths/check.test.ts',
  'test/deaths/living.test.ts',
  'test/deaths/score',
  'test/chaos/ledger.test.ts',
];
/** Each file with a loader, a service and a collector of its own. */
const KERNEL_TESTS = ['test/deaths/deaths.test.ts', 'test/deaths/normal-exits.test.ts', 'test/story'];

/** Each fuzzer, s. */
const FUZZ_SECONDS = 5;
const FUZZ_SECONDS_IN_CI = 60;

const CI = process.env.CI === 'true';

await command(async () => {
  const stages = new Stages(CI);
  await build();
  await buildMortal();
  await buildUndertaker();
  const missing = missingForKernelTests();
  if (missing === undefined) {
    const early = stages.prepareInBackground('preparing tests on this kernel', () => prepareKernelTests(stages));
    const late = stages.prepareInBackground(
      'preparing delivery, configurations',
      () => prepareOthers(early.ended),
      { yields: true }, // the first time, it lasts into the suites on this kernel
    );
    await testWithoutKernel(stages);
    await testOnKernel(stages, await early.finish(), late);
  } else {
    await testWithoutKernel(stages);
    await skipKernelTests(stages, missing);
  }
  print(`${stages.table()}\n`);
  return report(stages.total());
});

/** Why the suites on this kernel cannot run; undefined if they can. */
function missingForKernelTests(): string | undefined {
  if (!isRoot()) return 'this is not root';
  const checked = spawnSync(LOADER, ['check'], { encoding: 'utf8' });
  if (checked.status !== 0) return `\`${LOADER} check\` fails:\n${checked.stdout}${checked.stderr}`;
  return undefined;
}

async function testWithoutKernel(stages: Stages): Promise<void> {
  // One test notifies systemd, another makes a certificate. Elsewhere than in CI they fail if the program is missing, and say so.
  if (CI) await requirePackages(['systemd', 'openssl'], 'The tests of sd_notify and of TLS');
  await step('go vet', () => run('go', ['vet', './...']));
  const fuzzers = stages.testInBackground('fuzzers', () => fuzz(CI ? FUZZ_SECONDS_IN_CI : FUZZ_SECONDS));
  const go = stages.testInBackground('go test', goTests);
  await stages.test('unit tests', () => vitest(UNIT_TESTS));
  await go.finish();
  await fuzzers.finish();
}

type Early = Awaited<ReturnType<typeof prepareKernelTests>>;
type Late = Awaited<ReturnType<typeof prepareOthers>>;

/**
 * Builds and fetches, one thing after the other, what is needed first. The machines are started as soon as they are packed. The packages
 * come before them, since they build dist/ anew, which is packed, too.
 */
async function prepareKernelTests(stages: Stages) {
  await makePackages();
  const kernels = await prepareKernels();
  const chaos = await prepareChaos();
  const machines = startMachines(stages, kernels, chaos);
  await prepareWorld();
  const tests = {
    WHODUNIT_TEST_COLLECTOR: await buildCollector(),
    WHODUNIT_TEST_JAEGER: await buildJaeger(),
    WHODUNIT_TEST_JOBS: await prepareSdkJobs(),
  };
  return { machines, chaos, tests };
}

/** The rest: it takes long the first time, and is needed late. */
async function prepareOthers(earlier: Promise<void>) {
  await earlier;
  return { delivery: await prepareDelivery(), configs: await prepareConfigs() };
}

/** Starts what happens in emulated machines: the two of the chaos tests, and the kernel matrix beside and after them. */
function startMachines(stages: Stages, kernels: readonly Machine[], environment: NodeJS.ProcessEnv) {
  const chaos = stages.testInBackground('chaos in machines', () => testChaos(environment, { keys: KEYS_IN_MACHINES }));
  const matrix = stages.testInBackground('kernel matrix', async () => {
    await bootKernels(kernels, chaos.ended);
    return testKernels();
  });
  return { chaos, matrix };
}

async function testOnKernel(stages: Stages, { machines, chaos, tests }: Early, late: Background<Late>): Promise<void> {
  await stages.test('tests on this kernel', () => vitest(KERNEL_TESTS, tests));
  await stages.test('chaos', () => testChaos(chaos, { keys: KEYS_HERE }));
  const { delivery, configs } = await late.finish();
  const configurations = stages.testInBackground('configurations', () => testConfigs(configs));
  await stages.test('delivery', () => testDelivery(delivery));
  await configurations.finish();
  await machines.chaos.finish();
  await machines.matrix.finish();
}

async function skipKernelTests(stages: Stages, missing: string): Promise<void> {
  print(`SKIPPED: the suites on this kernel, because ${missing}`);
  print('SKIPPED: nothing was tested on a real kernel and into a real collector. Run `sudo npm test`.');
  await stages.test('tests on this kernel', async () => ({ passed: 0, failed: 0, skipped: 1 }));
}
