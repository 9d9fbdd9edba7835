// SPDX-License-Identifier: Apache-2.0
// The chaos tests: builds what they need besides loader and service, runs the scenarios (test/chaos), prints their table.
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/command.ts';
import { print, progress } from '../base/screen.ts';
import { packMachine } from '../build/chaos-machine.ts';
import { buildCollector } from '../build/collector.ts';
import { buildGo, buildReaper } from '../build/programs.ts';
import { ROOT } from '../paths.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

const BUILD = join(ROOT, 'build/chaos');
const OTHER_LOADER = join(BUILD, 'other-loader');
const TABLE = join(BUILD, 'table.txt');
/** The last result of each scenario, of whichever run: test/chaos/write.ts makes docs/chaos.md of them. */
const RESULTS = join(BUILD, 'results');

/** The scenarios that run by default: all but the soak, which takes an hour. */
export const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'storm'];
export const SOAK = 'soak';
const IN_A_MACHINE = new Set(['f', 'g']);

/**
 * A loader of the same version whose object differs: one byte more, which no reader of ELF looks at. The probes are the same, but a
 * loader compares objects, and replaces them.
 */
async function buildOtherLoader(): Promise<void> {
  const object = join(ROOT, 'loader/bpf_bpfel.o');
  const other = join(BUILD, 'bpf_bpfel.o');
  const overlay = join(BUILD, 'overlay.json');
  copyFileSync(object, other);
  appendFileSync(other, '\0');
  writeFileSync(overlay, JSON.stringify({ Replace: { [object]: other } }));
  await buildGo('another loader', OTHER_LOADER, './loader', { flags: ['-overlay', overlay] });
}

/** Builds and packs what the scenarios need. Gives the environment of the tests. */
export async function prepareChaos(keys: readonly string[] = KEYS): Promise<NodeJS.ProcessEnv> {
  const unknown = keys.find((key) => ![...KEYS, SOAK].includes(key));
  if (unknown !== undefined)
    throw new Failure(`There is no scenario ${unknown}; there are ${[...KEYS, SOAK].join(', ')}.`);
  mkdirSync(RESULTS, { recursive: true });
  await buildReaper();
  if (keys.includes('i')) await buildOtherLoader();
  const machine = keys.some((key) => IN_A_MACHINE.has(key)) ? await packMachine(BUILD) : undefined;
  return {
    WHODUNIT_TEST_COLLECTOR: await buildCollector(),
    WHODUNIT_CHAOS_OTHER_LOADER: OTHER_LOADER,
    ...(machine && { WHODUNIT_CHAOS_MACHINE: JSON.stringify(machine) }),
  };
}

export interface ChaosOptions {
  readonly keys?: readonly string[] | undefined;
  readonly full?: boolean | undefined;
  readonly soakMinutes?: number | undefined;
  readonly seed?: number | undefined;
}

/** Runs the scenarios in the environment of prepareChaos(), and prints the table. */
export async function testChaos(prepared: NodeJS.ProcessEnv, options: ChaosOptions = {}): Promise<Counts> {
  const { keys = KEYS, full = false, soakMinutes = 60, seed = newSeed() } = options;
  rmSync(TABLE, { force: true });
  progress(`seed ${seed}: \`npm run test:chaos -- --seed ${seed}\` makes the same choices\n`);
  const counts = await vitest(['test/chaos/chaos.test.ts'], {
    ...prepared,
    WHODUNIT_CHAOS: JSON.stringify({ keys, full, soakMinutes, seed, table: TABLE, results: RESULTS }),
  });
  if (existsSync(TABLE)) print(readFileSync(TABLE, 'utf8').trimEnd());
  return counts;
}

function newSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
