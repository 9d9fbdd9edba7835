// `npm run deaths`: the score, case by case. What it says is made in test/deaths/score; here everything is built that it needs.
//
// SPDX-License-Identifier: Apache-2.0

import { fileURLToPath } from 'node:url';
import { collector } from './build-collector.mjs';
import { requirePackages } from './packages.mjs';
import { againAsRoot, BEHIND_SUDO, isRoot } from './privileges.mjs';
import { runScript } from './processes.mjs';
import { buildMortal, buildUndertaker, command, Failure, installAndBuild, readFlags } from './steps.mjs';
import { prepareWorld } from './world.mjs';

const HELP = `npm run deaths -- [options]

Lets every case of test/deaths happen, and prints what died, what whodunit said of it, and whether that was right.
Ends with 1 if anything was wrong, missed, doubled, invented or lost.

  --runs N     that many runs in a row (1)
  --storm      with a fork storm on all processors meanwhile
  --only NAMES some cases, with commas
  --compare    score others of Debian's beside it, in the same run
  --write      write docs/deaths.md from the last run; with --compare, and all cases
  --help       this text`;
/** What the others come from (test/deaths/score/peers), and what they are run with. */
const PACKAGES = ['libbpf-tools', 'forkstat', 'bpftrace', 'coreutils', 'util-linux'];

const OPTIONS = {
  runs: { type: 'string', default: '1' },
  storm: { type: 'boolean', default: false },
  only: { type: 'string' },
  compare: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  [BEHIND_SUDO.slice(2)]: { type: 'boolean', default: false },
};

function validFlags() {
  const flags = readFlags(OPTIONS);
  const runs = Number(flags.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Failure(`--runs is ${flags.runs}: a whole number from 1 on.`);
  if (flags.write && (!flags.compare || flags.only !== undefined))
    throw new Failure('--write needs --compare, and goes without --only: docs/deaths.md has all cases.');
  return { ...flags, runs, only: flags.only?.split(',') ?? null };
}

await command(async () => {
  const flags = validFlags();
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const behindSudo = flags[BEHIND_SUDO.slice(2)];
  if (!behindSudo) {
    await installAndBuild();
    await buildMortal();
    await buildUndertaker();
    await prepareWorld();
    process.env.WHODUNIT_TEST_COLLECTOR ??= await collector();
  }
  if (!isRoot()) return againAsRoot(fileURLToPath(import.meta.url), [BEHIND_SUDO, ...process.argv.slice(2)]);
  if (flags.compare) await requirePackages(PACKAGES, '--compare');

  const args = ['test/deaths/score/main.ts', JSON.stringify(flags)];
  return runScript('the score', args, { inputToo: behindSudo });
});
