// The chaos tests: builds what they need besides loader, service and collector, runs the scenarios (test/chaos), prints their table.
//
// SPDX-License-Identifier: Apache-2.0

import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { collector } from './build-collector.mjs';
import { packMachine } from './chaos-machine.mjs';
import { buildGo, buildReaper, Failure, ROOT } from './steps.mjs';
import { vitest } from './vitest.mjs';

const BUILD = join(ROOT, 'build/chaos');
const OTHER_LOADER = join(BUILD, 'other-loader');
const TABLE = join(BUILD, 'table.txt');
/** The last result of each scenario, of whatever run: what test/chaos/write.ts makes docs/chaos.md of. */
const RESULTS = join(BUILD, 'results');

/** What is run where nothing is asked for: all but the soak, which takes as long as it is told to. */
export const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'storm'];
export const SOAK = 'soak';
const IN_A_MACHINE = new Set(['f', 'g']);

/**
 * A loader of the same version whose object differs: one byte more, which no reader of ELF looks at. The probes are the same, but to
 * a loader they are others, and it replaces them.
 */
async function buildOtherLoader() {
  const object = join(ROOT, 'loader/internal/probes/bpf_bpfel.o');
  const other = join(BUILD, 'bpf_bpfel.o');
  const overlay = join(BUILD, 'overlay.json');
  copyFileSync(object, other);
  appendFileSync(other, '\0');
  writeFileSync(overlay, JSON.stringify({ Replace: { [object]: other } }));
  await buildGo('another loader', OTHER_LOADER, './loader', ['-overlay', overlay]);
}

/** Runs the scenarios and prints the table. Gives vitest's counts. */
export async function testChaos({ keys = KEYS, full = false, soakMinutes = 60, seed = newSeed() } = {}) {
  const unknown = keys.find((key) => ![...KEYS, SOAK].includes(key));
  if (unknown !== undefined)
    throw new Failure(`there is no scenario ${unknown}; there are ${[...KEYS, SOAK].join(', ')}.`);
  mkdirSync(RESULTS, { recursive: true });
  rmSync(TABLE, { force: true });
  await buildReaper();
  if (keys.includes('i')) await buildOtherLoader();
  const machine = keys.some((key) => IN_A_MACHINE.has(key)) ? await packMachine(BUILD) : undefined;
  console.error(`seed ${seed}: \`npm run test:chaos -- --seed ${seed}\` makes the same choices`);
  const counts = await vitest(['test/chaos/chaos.test.ts'], {
    WHODUNIT_TEST_COLLECTOR: await collector(),
    WHODUNIT_CHAOS_OTHER_LOADER: OTHER_LOADER,
    ...(machine && { WHODUNIT_CHAOS_MACHINE: JSON.stringify(machine) }),
    WHODUNIT_CHAOS: JSON.stringify({ keys, full, soakMinutes, seed, table: TABLE, results: RESULTS }),
  });
  if (existsSync(TABLE)) console.log(readFileSync(TABLE, 'utf8'));
  return counts;
}

function newSeed() {
  return Math.floor(Math.random() * 2 ** 32);
}
