// SPDX-License-Identifier: Apache-2.0
// `npm run bench`: measures what whodunit costs and compares it with its bars and with other tools. Builds what bench/ needs, and runs it.
import { join } from 'node:path';
import { ALL_PARTS, OTHER_PARTS, PARTS } from '../../bench/figures.ts';
import type { OtherLoader, OtherService } from '../../bench/parts/part.ts';
import { command, Failure, readFlags } from '../base/command.ts';
import { requirePackages } from '../base/debian.ts';
import { againAsRoot, BEHIND_SUDO, isRoot } from '../base/privileges.ts';
import { run, step } from '../base/run.ts';
import { progress } from '../base/screen.ts';
import { runScript } from '../base/script.ts';
import { buildCollector } from '../build/collector.ts';
import { buildLoaderOf } from '../build/other-loader.ts';
import { buildServiceOf } from '../build/other-service.ts';
import { build, buildGo, buildLoad } from '../build/programs.ts';
import { ROOT } from '../paths.ts';
import { prepareGateway } from '../suites/configs.ts';

/** Additional Debian packages, by part. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  builds: ['libltdl-dev', 'libtool'],
  peers: ['libbpf-tools', 'bpftrace', 'forkstat'],
  profile: ['linux-perf'],
};

/** The parts that need the service of --against. */
const BESIDE_A_SERVICE = ['services', 'starts'];

const HELP = `npm run bench -- [options]

Measures the costs and the speed of whodunit. Needs root, an otherwise idle machine and about 30 minutes. Prints tables to standard
output and writes the same figures to bench/results/NAME.json. Exits with 1 only if something could not be measured.

  --quick           fewer and shorter rounds, about 6 minutes; the figures are not reliable
  --only PARTS      run only these parts, separated by commas:
                    ${PARTS.join(', ')}
                    and, only if they are named: ${OTHER_PARTS.join(', ')} (beside the service of
                    --against, the latency, 15 minutes, and the start and memory, 5 minutes; a fleet before a gateway with Kafka,
                    and Loki, 10 minutes; starts of the loader without BTF, 1 minute)
  --against COMMIT  in the part commits, compare with the loader of this commit, too, not only with that of release 0.1.0;
                    in the parts services and starts, with its service
  --name NAME       name of the results (default: full; quick with --quick; partial with --only; scale with --only scale)
  --resume          keep the parts that NAME.json has of this commit on this machine: to go on with an interrupted run
  --again PARTS     measure only these parts, and keep the others that NAME.json has, of another commit perhaps: the tables say so
  --judge           do not measure; compare stored results with the bars
  --write           write docs/performance.md from the results of a complete run; with --only scale, docs/scale.md
  --help            show this text`;

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string' },
  against: { type: 'string' },
  name: { type: 'string' },
  resume: { type: 'boolean', default: false },
  again: { type: 'string' },
  judge: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  'behind-sudo': { type: 'boolean', default: false },
} as const;

function validFlags() {
  const flags = readFlags(OPTIONS);
  if (flags.again !== undefined && (flags.only !== undefined || flags.resume))
    throw new Failure('--again excludes --only and --resume.');
  const only = flags.only ?? flags.again;
  return validNames(flags, only === undefined ? PARTS : partsOf(only), flags.again !== undefined);
}

function partsOf(list: string): readonly string[] {
  const parts = list.split(',');
  const unknown = parts.find((part) => !ALL_PARTS.some((known) => known === part));
  if (unknown !== undefined) throw new Failure(`unknown part ${unknown}; the parts are ${ALL_PARTS.join(', ')}.`);
  return parts;
}

/** `only`: the parts that are measured. */
function validNames(flags: ReturnType<typeof readFlags<typeof OPTIONS>>, only: readonly string[], again: boolean) {
  if (flags.against !== undefined && !['commits', ...BESIDE_A_SERVICE].some((part) => only.includes(part)))
    throw new Failure('--against needs the part commits, services or starts, which --only excludes.');
  const beside = BESIDE_A_SERVICE.find((part) => only.includes(part));
  if (flags.against === undefined && beside !== undefined)
    throw new Failure(`The part ${beside} needs --against: the commit whose service is compared.`);
  const page = flags.only === undefined ? 'performance' : flags.only === 'scale' ? 'scale' : undefined;
  if (flags.write && (flags.quick || page === undefined))
    throw new Failure('--write excludes --quick, and --only but for scale: a page needs a complete run.');
  const complete = page === 'scale' ? 'scale' : 'full';
  const name = flags.name ?? (page === undefined ? 'partial' : flags.quick ? 'quick' : complete);
  if (!/^[\w-]+$/.test(name)) throw new Failure(`--name is ${name}: letters, digits, _ and - are allowed.`);
  return { ...flags, only, again, name, ...(flags.write && { page }) };
}

/** Builds the loaders that the part `commits` compares with: that of the release, and that of --against. */
async function buildOtherLoaders(against: string | undefined): Promise<OtherLoader[]> {
  const release = await step('building the loader of release 0.1.0', () => buildLoaderOf()).catch((error: unknown) => {
    if (!(error instanceof Failure)) throw error;
    progress(`not compared with release 0.1.0: ${error.message}\n`);
    return null;
  });
  const others: OtherLoader[] = [{ id: 'release', name: 'release 0.1.0', path: release }];
  if (against === undefined) return others;
  const commit = await commitOf(against, ['--short']);
  const before = await step(`building the loader of ${commit}`, () => buildLoaderOf(commit));
  return before === release ? others : [{ id: 'before', name: `commit ${commit}`, path: before }, ...others];
}

async function commitOf(against: string, options: readonly string[] = []): Promise<string> {
  const remedy = `--against is ${against}; it must be a commit of this repository.`;
  return (await run('git', ['rev-parse', ...options, '--verify', `${against}^{commit}`], { remedy })).trim();
}

/** Builds the service that BESIDE_A_SERVICE compare. */
async function buildOtherService(against: string): Promise<OtherService> {
  const [commit, hash] = [await commitOf(against, ['--short']), await commitOf(against)];
  return {
    name: `commit ${commit}`,
    path: await step(`building the service of ${commit}`, () => buildServiceOf(hash)),
  };
}

async function buildAll(): Promise<void> {
  await build();
  await buildGo('the probe cost reader (Go)', join(ROOT, 'build/bench-probe-cost'), './bench/probe-cost');
  await buildGo('a program that is preempted (Go)', join(ROOT, 'build/bench-preempted'), './bench/preempted');
  await buildLoad();
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
      if (flags.only.includes('commits'))
        process.env.WHODUNIT_BENCH_LOADERS = JSON.stringify(await buildOtherLoaders(flags.against));
      if (flags.against !== undefined && BESIDE_A_SERVICE.some((part) => flags.only.includes(part)))
        process.env.WHODUNIT_BENCH_SERVICE = JSON.stringify(await buildOtherService(flags.against));
      if (flags.only.includes('scale')) Object.assign(process.env, await prepareGateway());
    }
    if (!isRoot()) return againAsRoot(import.meta.filename, [BEHIND_SUDO, ...process.argv.slice(2)]);
    for (const part of flags.only) await requirePackages(PACKAGES[part] ?? [], `npm run bench (part ${part})`);
  }
  const args = ['bench/main.ts', JSON.stringify(flags)];
  return runScript('the benchmark', args, { endOfInput: behindSudo });
});
