// SPDX-License-Identifier: Apache-2.0
// `npm test`: builds, and runs all tests. The output ends with a table of the stages and their durations, the names of the failed tests,
// and the line `N passed, N failed`, all from the runners' reports.
//
// The suites that need the real kernel need root and BPF. Without these they are skipped, and the output reports it. With CI=true a
// skipped suite fails the run.
//
// Unit tests, Go tests and fuzzers run in parallel. Builds and downloads run in parallel with tests that do not need them yet. The
// suites on this kernel run one after another, since they measure times and count losses. Emulated machines run in parallel with all
// of them, at low priority.
import { spawnSync } from 'node:child_process';
import { command } from '../base/command.ts';
import { requirePackages } from '../base/debian.ts';
import { isRoot } from '../base/privileges.ts';
import { run, step } from '../base/run.ts';
import { print } from '../base/screen.ts';
import { buildBackend } from '../build/backends.ts';
import { buildCollector } from '../build/collector.ts';
import { makePackages } from '../build/packages.ts';
import { build, buildMortal, buildUndertaker } from '../build/programs.ts';
import { prepareSdkJobs } from '../build/sdk-jobs.ts';
import { prepareSupervisors } from '../build/supervisors.ts';
import { prepareWorld } from '../build/world.ts';
import { LOADER } from '../paths.ts';
import { prepareAttacks, testAttacks } from '../suites/attacks.ts';
import { KEYS_HERE, KEYS_IN_MACHINES, prepareChaos, testChaos } from '../suites/chaos.ts';
import { prepareConfigs, testConfigs } from '../suites/configs.ts';
import { report } from '../suites/counts.ts';
import { prepareCrashes, TIMES_IN_TESTS, testCrashes } from '../suites/crashes.ts';
import { prepareDelivery, testDelivery } from '../suites/delivery.ts';
import { fuzz } from '../suites/fuzz.ts';
import { goTests } from '../suites/go.ts';
import { bootKernels, IN_TESTS, type Machine, prepareKernels, REDUCED, testKernels } from '../suites/kernels.ts';
import { type Background, Stages } from '../suites/stages.ts';
import { prepareUi, testUi } from '../suites/ui.ts';
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
/** Each file starts its own loader, service and collector. */
const KERNEL_TESTS = ['test/deaths/deaths.test.ts', 'test/deaths/normal-exits.test.ts', 'test/story'];

/** How long each fuzzer runs. */
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
      { yields: true }, // with an empty cache, it still runs during the suites on this kernel
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

/** Returns why the suites on this kernel cannot run; undefined if they can. */
function missingForKernelTests(): string | undefined {
  if (!isRoot()) return 'this is not root';
  const checked = spawnSync(LOADER, ['check'], { encoding: 'utf8' });
  if (checked.status !== 0) return `\`${LOADER} check\` fails:\n${checked.stdout}${checked.stderr}`;
  return undefined;
}

async function testWithoutKernel(stages: Stages): Promise<void> {
  // Programs of single tests. Outside CI, these fail or are skipped if the program is missing.
  if (CI)
    await requirePackages(
      ['systemd', 'openssl', 'zsh', 'fish', 'groff-base'],
      'The tests of sd_notify, TLS, completions and the man page',
    );
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
 * Builds and downloads sequentially what is needed first. Starts the machines as soon as they are packed. The packages come first: they
 * rebuild dist/, which is packed into a machine.
 */
async function prepareKernelTests(stages: Stages) {
  await makePackages();
  const kernels = await prepareKernels(REDUCED, IN_TESTS);
  const chaos = await prepareChaos();
  const machines = startMachines(stages, kernels, chaos);
  await prepareWorld();
  const tests = {
    WHODUNIT_TEST_COLLECTOR: await buildCollector(),
    WHODUNIT_TEST_JAEGER: await buildBackend('jaeger'),
    WHODUNIT_TEST_JOBS: await prepareSdkJobs(),
    WHODUNIT_TEST_PM2: await prepareSupervisors(),
  };
  await prepareUi();
  return { machines, chaos, tests, attacks: await prepareAttacks(), crashes: await prepareCrashes() };
}

/** Prepares the rest: slow with an empty cache, and needed last. */
async function prepareOthers(earlier: Promise<void>) {
  await earlier;
  return { delivery: await prepareDelivery(), configs: await prepareConfigs() };
}

/** Starts the suites that run in emulated machines: two chaos scenarios and the kernel matrix. */
function startMachines(stages: Stages, kernels: readonly Machine[], environment: NodeJS.ProcessEnv) {
  const chaos = stages.testInBackground('chaos in machines', () => testChaos(environment, { keys: KEYS_IN_MACHINES }));
  const matrix = stages.testInBackground('kernel matrix', async () => {
    await bootKernels(kernels, chaos.ended);
    return testKernels(IN_TESTS);
  });
  return { chaos, matrix };
}

async function testOnKernel(stages: Stages, early: Early, late: Background<Late>): Promise<void> {
  const { machines, chaos, tests, attacks, crashes } = early;
  await stages.test('tests on this kernel', () => vitest(KERNEL_TESTS, tests));
  await stages.test('page in a browser', testUi);
  await stages.test('attacks', () => testAttacks(attacks));
  await stages.test('crashes', () => testCrashes(crashes, { copied: 'exit', times: TIMES_IN_TESTS, only: '' }));
  await stages.test('crashes at the delivery', () => testCrashes(crashes, { copied: 'delivery', times: 1, only: '' }));
  await stages.test('chaos', () => testChaos(chaos, { keys: KEYS_HERE }));
  const { delivery, configs } = await late.finish();
  await stages.test('configurations', () => testConfigs(configs));
  await stages.test('delivery', () => testDelivery(delivery));
  await machines.chaos.finish();
  await machines.matrix.finish();
}

async function skipKernelTests(stages: Stages, missing: string): Promise<void> {
  print(`SKIPPED: the suites on this kernel, because ${missing}`);
  print('SKIPPED: no test used the real kernel or a real collector. Run `sudo npm test`.');
  await stages.test('tests on this kernel', async () => ({
    passed: 0,
    failed: [],
    skipped: ['all suites on this kernel'],
  }));
}
