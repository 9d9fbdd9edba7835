// SPDX-License-Identifier: Apache-2.0
// Mutation testing: changes the source in every way that Stryker knows, and runs the tests with each change. If no test fails, no test
// pins that behaviour.
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createVitest, type TestModule, type Vite } from 'vitest/node';
import { Failure } from '../../base/command.ts';
import { print } from '../../base/screen.ts';
import { ROOT } from '../../paths.ts';
import { add, type Counts, NO_TESTS } from '../counts.ts';
import { type Comparison, compare, describeMutant, type Equivalent, scoreOf } from './compare.ts';
import { type Instrumented, instrument } from './instrument.ts';
import { type MutantsMeta, SHARD, type Shard } from './shard.ts';

/** Below src/core/. The tests of each are in the directory of the same name below test/core/. */
const DIRECTORIES = ['delivery', 'verdict'];
/** A list of `Equivalent`. */
const EQUIVALENTS = 'scripts/suites/mutants/equivalent.json';

/** For one test without a mutant, on a loaded machine. */
const TEST_TIMEOUT_MS = 120_000;

/** The files whose mutants are tested. */
export function mutatedFiles(): string[] {
  return DIRECTORIES.flatMap((directory) =>
    readdirSync(join(ROOT, 'src/core', directory)).map((file) => `src/core/${directory}/${file}`),
  );
}

/** `files`: some of `mutatedFiles`. A mutant counts as a test, which passes if the mutant is killed. */
export async function testMutants(files: readonly string[]): Promise<Counts> {
  const listed = readEquivalents().filter(({ file }) => files.includes(file));
  const instrumented = await instrument(files);
  const killed = await kill(instrumented);
  const counts = DIRECTORIES.map((directory) => {
    const within = ({ file }: { readonly file: string }) => file.startsWith(`src/core/${directory}/`);
    const mutants = instrumented.mutants.filter(within);
    return mutants.length === 0 ? NO_TESTS : show(directory, compare(mutants, killed, listed.filter(within)));
  });
  return counts.reduce(add, NO_TESTS);
}

/** Fails on an entry for a file that is not mutated: it was moved or deleted. */
export function readEquivalents(): Equivalent[] {
  const listed: Equivalent[] = JSON.parse(readFileSync(join(ROOT, EQUIVALENTS), 'utf8'));
  const lost = listed.find(({ file }) => !mutatedFiles().includes(file));
  if (lost !== undefined) throw new Failure(`${EQUIVALENTS} has an entry for ${lost.file}, which is not mutated.`);
  return listed;
}

/** Runs the tests of the instrumented files, in one process for each processor. Returns the ids of the mutants that they kill. */
async function kill({ mutants, sources }: Instrumented): Promise<Set<string>> {
  const directories = DIRECTORIES.filter((name) => mutants.some(({ file }) => file.startsWith(`src/core/${name}/`)));
  const include = directories.map((name) => `test/core/${name}/**/*.test.ts`);
  const shards = availableParallelism();
  const killed = await Promise.all(
    Array.from({ length: shards }, (_, index) => killShard(sources, include, { index, count: shards })),
  );
  return new Set(killed.flat());
}

async function killShard(sources: ReadonlyMap<string, string>, include: string[], shard: Shard): Promise<string[]> {
  const vitest = await createVitest(
    'test',
    {
      config: false,
      root: ROOT,
      include,
      runner: join(import.meta.dirname, 'runner.ts'),
      env: { [SHARD]: JSON.stringify(shard) },
      watch: false,
      // One process without isolation: the runner shares what is killed between the files.
      isolate: false,
      fileParallelism: false,
      // The cache on disk knows nothing of the instrumentation.
      fsModuleCache: false,
      testTimeout: TEST_TIMEOUT_MS,
      reporters: shard.index === 0 ? ['default'] : [],
    },
    { plugins: [replacing(sources)] },
  );
  try {
    const { testModules, unhandledErrors } = await vitest.start();
    if (unhandledErrors.length > 0 || !testModules.every((module) => module.ok()))
      throw new Failure('The tests fail without a mutant, see above.');
    return testModules.flatMap((module) => killedBy(module));
  } finally {
    await vitest.close();
  }
}

/** Loads the instrumented sources, and a fast-check with fewer runs. */
function replacing(sources: ReadonlyMap<string, string>): Vite.Plugin {
  const fastCheck = join(import.meta.dirname, 'fast-check.ts');
  return {
    name: 'mutants',
    enforce: 'pre',
    resolveId: (id, importer) => (id === 'fast-check' && importer !== fastCheck ? fastCheck : null),
    transform: (_code, id) => sources.get(id) ?? null,
  };
}

function killedBy(module: TestModule): readonly string[] {
  return (module.meta() as Partial<MutantsMeta>).killedMutants ?? [];
}

/** Prints what is wrong, and the score. */
function show(directory: string, comparison: Comparison): Counts {
  const { killed, equivalent, survivors, refuted, stale } = comparison;
  const failed = [
    ...survivors.map((mutant) => `survived: ${mutant.file}:${mutant.line} ${describeMutant(mutant)}`),
    ...refuted.map((entry) => `killed, so remove it from ${EQUIVALENTS}: ${describeEntry(entry)}`),
    ...stale.map((entry) => `no such mutant, so remove it from ${EQUIVALENTS}: ${describeEntry(entry)}`),
  ];
  for (const line of failed) print(line);
  const score = scoreOf(comparison).toFixed(1);
  print(`src/core/${directory}: ${killed} killed, ${survivors.length} survived, ${equivalent} equivalent: ${score} %`);
  return { passed: killed, failed, skipped: [] };
}

function describeEntry({ file, line, mutant }: Equivalent): string {
  return `${file}, \`${line}\`, ${mutant}`;
}
