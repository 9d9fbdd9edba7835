// SPDX-License-Identifier: Apache-2.0
// `npm run bench`: measures what whodunit costs and compares it with its bars and with other tools. Builds what bench/ needs, and runs it.
import { join } from 'node:path';
import { runScript } from '../base/children.ts';
import { command, Failure, readFlags } from '../base/command.ts';
import { requirePackages } from '../base/debian.ts';
import { againAsRoot, BEHIND_SUDO, isRoot } from '../base/privileges.ts';
import { run, step } from '../base/run.ts';
import { buildCollector } from '../build/collector.ts';
import { build, buildGo } from '../build/programs.ts';
import { ROOT } from '../paths.ts';

const PARTS = ['kernel', 'workload', 'latency', 'storm', 'idle', 'growth', 'peers', 'profile'];
const COMPILER = ['gcc', 'libc6-dev'];
/** Additional Debian packages, by part. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  peers: ['libbpf-tools', 'bpftrace', 'forkstat'],
  profile: ['linux-perf'],
};

const HELP = `npm run bench -- [options]

Measures the costs and the speed of whodunit. Needs root, an otherwise idle machine and about 15 minutes. Prints tables to standard
output and writes the same figures to bench/results/NAME.json. Exits with 1 only if something could not be measured.

  --quick       fewer and shorter rounds, under 3 minutes; the figures are not reliable
  --only PARTS  run only these parts, separated by commas: ${PARTS.join(', ')}
  --name NAME   name of the results (default: full; quick with --quick; partial with --only)
  --judge       do not measure; compare stored results with the bars
  --write       write docs/performance.md from the results of a complete run
  --help        show this text`;

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string' },
  name: { type: 'string' },
  judge: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  'behind-sudo': { type: 'boolean', default: false },
} as const;

function validFlags() {
  const flags = readFlags(OPTIONS);
  const only = flags.only?.split(',') ?? PARTS;
  const unknown = only.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Failure(`--only: unknown part ${unknown}; the parts are ${PARTS.join(', ')}.`);
  if (flags.write && (flags.quick || flags.only !== undefined))
    throw new Failure('--write excludes --quick and --only: docs/performance.md needs a complete run.');
  const name = flags.name ?? (flags.only !== undefined ? 'partial' : flags.quick ? 'quick' : 'full');
  if (!/^[\w-]+$/.test(name)) throw new Failure(`--name is ${name}: letters, digits, _ and - are allowed.`);
  return { ...flags, only, name };
}

async function buildAll(): Promise<void> {
  await build();
  await buildGo('the probe cost reader (Go)', join(ROOT, 'build/bench-probe-cost'), './bench/probe-cost');
  await buildGo('a program that is preempted (Go)', join(ROOT, 'build/bench-preempted'), './bench/preempted');
  await requirePackages(COMPILER, 'npm run bench');
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-static', '-pthread', '-o', join(ROOT, 'build/bench-load')];
  await step('building the load generator (C)', () => run('gcc', [...flags, 'bench/load/load.c']));
}

await command(async () => {
  const flags = validFlags();
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const behindSudo = flags['behind-sudo'];
  if (!flags.judge) {
    if (!behindSudo) {
      await buildAll();
      process.env.WHODUNIT_TEST_COLLECTOR ??= await buildCollector();
    }
    if (!isRoot()) return againAsRoot(import.meta.filename, [BEHIND_SUDO, ...process.argv.slice(2)]);
    for (const part of flags.only) await requirePackages(PACKAGES[part] ?? [], `npm run bench (part ${part})`);
  }
  const args = ['bench/main.ts', JSON.stringify(flags)];
  return runScript('the benchmark', args, { endOfInput: behindSudo });
});
