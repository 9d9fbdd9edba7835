// SPDX-License-Identifier: Apache-2.0
// `npm run deaths`: scores the conformance cases, case by case. Builds what test/deaths/score needs, and runs it.
import { command, Failure, readFlags } from '../base/command.ts';
import { requirePackages } from '../base/debian.ts';
import { againAsRoot, BEHIND_SUDO, isRoot } from '../base/privileges.ts';
import { runScript } from '../base/script.ts';
import { buildCollector } from '../build/collector.ts';
import { build, buildMortal, buildUndertaker } from '../build/programs.ts';
import { prepareWorld } from '../build/world.ts';

const HELP = `npm run deaths -- [options]

Runs every case of test/deaths, and prints what terminated, what whodunit reported, and whether the report was correct.
Exits with 1 if a report was wrong, missing, duplicated, spurious or lost.

  --runs N      repeat N times (default: 1)
  --storm       run during a fork storm on all processors
  --only NAMES  run only these cases, separated by commas
  --compare     also score other tools of Debian, in the same run
  --write       write docs/deaths.md from the last run; requires --compare and all cases
  --help        show this text`;
/** The Debian packages of the other tools (test/deaths/score/peers), and of the programs that run them. */
const PACKAGES = ['libbpf-tools', 'forkstat', 'bpftrace', 'coreutils', 'util-linux'];

const OPTIONS = {
  runs: { type: 'string', default: '1' },
  storm: { type: 'boolean', default: false },
  only: { type: 'string' },
  compare: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  'behind-sudo': { type: 'boolean', default: false },
} as const;

function validFlags() {
  const flags = readFlags(OPTIONS);
  const runs = Number(flags.runs);
  if (!Number.isInteger(runs) || runs < 1)
    throw new Failure(`--runs is ${flags.runs}; it must be a positive integer. See --help.`);
  if (flags.write && (!flags.compare || flags.only !== undefined))
    throw new Failure('--write requires --compare and excludes --only: docs/deaths.md has all cases.');
  return { ...flags, runs, only: flags.only?.split(',') ?? null };
}

await command(async () => {
  const flags = validFlags();
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const behindSudo = flags['behind-sudo'];
  if (!behindSudo) {
    await build();
    await buildMortal();
    await buildUndertaker();
    await prepareWorld();
    process.env.WHODUNIT_TEST_COLLECTOR ??= await buildCollector();
  }
  if (!isRoot()) return againAsRoot(import.meta.filename, [BEHIND_SUDO, ...process.argv.slice(2)]);
  if (flags.compare) await requirePackages(PACKAGES, '--compare');

  const args = ['test/deaths/score/main.ts', JSON.stringify(flags)];
  return runScript('the score', args, { endOfInput: behindSudo });
});
