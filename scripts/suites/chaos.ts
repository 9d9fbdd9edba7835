// SPDX-License-Identifier: Apache-2.0
// The chaos tests: builds what they need in addition to loader and service, runs the scenarios (test/chaos), and prints their table.
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/command.ts';
import { print, progress } from '../base/screen.ts';
import { type ChaosMachine, packMachine } from '../build/chaos-machine.ts';
import { buildCollector } from '../build/collector.ts';
import { YIELDING } from '../build/machine.ts';
import { buildLoaderOf } from '../build/other-loader.ts';
import { buildAttackers, buildGo, buildMortal, buildReaper } from '../build/programs.ts';
import { ROOT } from '../paths.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

const BUILD = join(ROOT, 'build/chaos');
const OTHER_LOADER = join(BUILD, 'other-loader');
/** The last result of each scenario, from any run. test/chaos/write.ts generates docs/chaos.md from them. */
const RESULTS = join(BUILD, 'results');

/** The default scenarios, on this kernel and in emulated machines: all except the soak, which takes an hour. */
export const KEYS_HERE = ['a', 'b', 'c', 'd', 'e', 'h', 'i', 'j', 'k', 'l', 'storm'];
export const KEYS_IN_MACHINES = ['f', 'g'];
/** In a machine, too, but not beside other tests: an emulated service that gets no processor reads the cgroup too late, and says so. */
const KEYS_ALONE = ['m'];
export const KEYS = [...KEYS_HERE, ...KEYS_IN_MACHINES, ...KEYS_ALONE].sort();
export const SOAK = 'soak';

/**
 * Builds a loader of the same version whose BPF object has one more byte at the end, which ELF readers ignore. The probes are the same,
 * but a loader compares objects, and so replaces the probes.
 */
async function buildOtherLoader(): Promise<void> {
  const object = join(ROOT, 'loader/internal/probes/bpf_bpfel.o');
  const other = join(BUILD, 'bpf_bpfel.o');
  const overlay = join(BUILD, 'overlay.json');
  copyFileSync(object, other);
  appendFileSync(other, '\0');
  writeFileSync(overlay, JSON.stringify({ Replace: { [object]: other } }));
  await buildGo('another loader', OTHER_LOADER, './loader', { flags: ['-overlay', overlay] });
}

/** Returns the path of the loader of release 0.1.0; undefined if it cannot be built (this clone lacks its commit) outside CI. */
async function releasedLoader(): Promise<string | undefined> {
  try {
    return await buildLoaderOf();
  } catch (error) {
    if (process.env.CI === 'true' || !(error instanceof Failure)) throw error;
    progress(`SKIPPED, the upgrade from release 0.1.0 is not tested: ${error.message}\n`);
    return undefined;
  }
}

/** Builds and packs what the scenarios need. Returns the environment of the tests. */
export async function prepareChaos(keys: readonly string[] = KEYS): Promise<NodeJS.ProcessEnv> {
  const unknown = keys.find((key) => ![...KEYS, SOAK].includes(key));
  if (unknown !== undefined)
    throw new Failure(`Unknown scenario ${unknown}; the scenarios are ${[...KEYS, SOAK].join(', ')}.`);
  mkdirSync(RESULTS, { recursive: true });
  await buildReaper();
  if (keys.includes('i')) await buildOtherLoader();
  if (keys.includes('k')) {
    await buildAttackers();
    await buildMortal();
  }
  const machine = keys.some((key) => [...KEYS_IN_MACHINES, ...KEYS_ALONE].includes(key))
    ? await packMachine(BUILD)
    : undefined;
  return {
    WHODUNIT_TEST_COLLECTOR: await buildCollector(),
    WHODUNIT_CHAOS_OTHER_LOADER: OTHER_LOADER,
    ...(keys.includes('i') && { WHODUNIT_CHAOS_RELEASED_LOADER: await releasedLoader() }),
    ...(machine && { WHODUNIT_CHAOS_MACHINE: JSON.stringify(yielding(machine)) }),
  };
}

function yielding(machine: ChaosMachine): ChaosMachine {
  const [program = '', ...before] = YIELDING;
  return { ...machine, program, args: [...before, machine.program, ...machine.args] };
}

export interface ChaosOptions {
  readonly keys?: readonly string[] | undefined;
  readonly full?: boolean | undefined;
  readonly soakMinutes?: number | undefined;
  readonly seed?: number | undefined;
}

/** Runs the scenarios and prints the table. `prepared`: the environment that prepareChaos() returned. */
export async function testChaos(prepared: NodeJS.ProcessEnv, options: ChaosOptions = {}): Promise<Counts> {
  const { keys = KEYS, full = false, soakMinutes = 60, seed = newSeed() } = options;
  const tablePath = join(BUILD, `table-${keys.join('-')}.txt`);
  rmSync(tablePath, { force: true });
  progress(`seed ${seed}: \`npm run test:chaos -- --seed ${seed}\` repeats the random choices\n`);
  const counts = await vitest(['test/chaos/chaos.test.ts'], {
    ...prepared,
    WHODUNIT_CHAOS: JSON.stringify({ keys, full, soakMinutes, seed, table: tablePath, results: RESULTS }),
  });
  if (existsSync(tablePath)) print(readFileSync(tablePath, 'utf8').trimEnd());
  return counts;
}

function newSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
