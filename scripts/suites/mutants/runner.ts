// SPDX-License-Identifier: Apache-2.0
// A runner for vitest that loads a test file again for each mutant, and runs the tests that execute the mutant, all in one process. A
// test that fails kills it. So does a mutant that is executed so often that the test would not end.
import { type RunnerTask, type RunnerTestCase, type RunnerTestFile, type SuiteCollector, TestRunner, vi } from 'vitest';
import { type MutantsMeta, SHARD, type Shard } from './shard.ts';

/** How often mutants were executed, by id. */
type Hits = Record<string, number>;

/** What the instrumented code and the runner share (INSTRUMENTER_CONSTANTS of Stryker). */
interface Switches {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
  mutantCoverage?: Coverage;
}

interface Coverage {
  /** Executed while modules load. */
  readonly static: Hits;
  readonly perTest: Record<string, Hits>;
}

interface Cover {
  /** The indices of the tests that execute the mutant. null: all, because it is executed while modules load. */
  readonly tests: readonly number[] | null;
  readonly hits: number;
}

/** A test that executes its mutant this many times more often than without it has an endless loop. */
const HIT_FACTOR = 100;

const shared = globalThis as { __stryker__?: Switches; killedMutants?: Set<string> };
shared.__stryker__ ??= {};
/** By the test files so far. */
shared.killedMutants ??= new Set();
const { __stryker__: switches, killedMutants: killed } = shared;

const shard: Shard = JSON.parse(process.env[SHARD] ?? '');

export default class MutantRunner extends TestRunner {
  /** Tests the mutants. vitest then runs the tests as usual, without a mutant. */
  async onCollected(files: readonly RunnerTestFile[]): Promise<void> {
    for (const file of files) {
      const before = new Set(killed);
      await this.#testMutants(file);
      const meta: MutantsMeta = { killedMutants: [...killed].filter((id) => !before.has(id)) };
      Object.assign(file.meta, meta);
    }
    vi.resetModules(); // the next file loads modules that were loaded without a mutant
  }

  async #testMutants(file: RunnerTestFile): Promise<void> {
    const coverage: Coverage = { static: {}, perTest: {} };
    switches.mutantCoverage = coverage;
    await runOnce(await this.#load(file));
    for (const [id, cover] of coversOf(coverage)) {
      const isOwn = Number(id) % shard.count === shard.index;
      if (isOwn && !killed.has(id) && (await this.#kills(file, id, cover))) killed.add(id);
    }
  }

  async #kills(file: RunnerTestFile, id: string, { tests: indices, hits }: Cover): Promise<boolean> {
    Object.assign(switches, { activeMutant: id, hitCount: 0, hitLimit: hits * HIT_FACTOR });
    try {
      const tests = await this.#load(file);
      for (const test of indices === null ? tests : indices.map((index) => tests[index] as RunnerTestCase))
        await TestRunner.getTestFn(test)();
      return false;
    } catch {
      return true;
    } finally {
      Object.assign(switches, { activeMutant: undefined, hitCount: undefined });
    }
  }

  /** Loads the modules of a test file again. Returns its tests. */
  async #load(file: RunnerTestFile): Promise<RunnerTestCase[]> {
    const collector = TestRunner.getCurrentSuite();
    const first = collector.tasks.length;
    vi.resetModules();
    await this.importFile(file.filepath, 'collect');
    return testsOf(collector.tasks.splice(first), file);
  }
}

/** By the id of the mutant. */
function coversOf(coverage: Coverage): Map<string, Cover> {
  const covers = new Map<string, Cover>();
  for (const [id, hits] of Object.entries(coverage.static)) covers.set(id, { tests: null, hits });
  for (const [index, perMutant] of Object.entries(coverage.perTest)) {
    for (const [id, hits] of Object.entries(perMutant)) {
      const cover = covers.get(id) ?? { tests: [], hits: 0 };
      covers.set(id, { tests: cover.tests && [...cover.tests, Number(index)], hits: cover.hits + hits });
    }
  }
  return covers;
}

/** In their order. */
async function testsOf(
  tasks: readonly (RunnerTask | SuiteCollector)[],
  file: RunnerTestFile,
): Promise<RunnerTestCase[]> {
  const tests: RunnerTestCase[] = [];
  for (const task of tasks) {
    if (task.type === 'test') tests.push(task);
    else
      tests.push(...(await testsOf(task.type === 'collector' ? (await task.collect(file)).tasks : task.tasks, file)));
  }
  return tests;
}

/** Records the coverage of each test, by its index. */
async function runOnce(tests: readonly RunnerTestCase[]): Promise<void> {
  for (const [index, test] of tests.entries()) {
    switches.currentTestId = String(index);
    try {
      await TestRunner.getTestFn(test)();
    } finally {
      switches.currentTestId = undefined;
    }
  }
}
