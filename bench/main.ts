// SPDX-License-Identifier: Apache-2.0
// `npm run bench`: measures one part after the other and writes the results. scripts/commands/bench.ts builds everything and passes the
// flags as JSON. Exits with 1 if something could not be measured; the figures themselves do not affect the exit code.
//
// Handlers of `exit` kill programs and remove pins, also after an error or a signal. Timing and tracing in the kernel stop when the
// program that enabled them exits.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOADER, ROOT } from '../scripts/stack/program.ts';
import { ALL_PARTS, type PartName, type PartResult, type Results } from './figures.ts';
import { backgroundPercent, processorTimes, shares, thisCommit, thisMachine } from './machine.ts';
import { builds } from './parts/builds.ts';
import { commits } from './parts/commits.ts';
import { crashes } from './parts/crashes.ts';
import { growth } from './parts/growth.ts';
import { idle } from './parts/idle.ts';
import { kernel } from './parts/kernel.ts';
import { latency } from './parts/latency.ts';
import { observed } from './parts/observed.ts';
import type { OtherLoader, OtherService, Part, Run } from './parts/part.ts';
import { peers } from './parts/peers.ts';
import { profile } from './parts/profile.ts';
import { scale } from './parts/scale.ts';
import { services } from './parts/services.ts';
import { starts } from './parts/starts.ts';
import { storm } from './parts/storm.ts';
import { workload } from './parts/workload.ts';
import { Progress } from './progress.ts';
import { fill, renderResults } from './render.ts';

const RESULTS = join(ROOT, 'bench/results');
const BPFFS = '/sys/fs/bpf';
const EXIT_INTERRUPTED = 130;

/** `weight`: relative duration, for the progress. */
const MEASURED: Readonly<Record<PartName, { measure: Part; weight: number }>> = {
  kernel: { measure: kernel, weight: 2 },
  commits: { measure: commits, weight: 3 },
  crashes: { measure: crashes, weight: 2 },
  workload: { measure: workload, weight: 4 },
  builds: { measure: builds, weight: 8 },
  latency: { measure: latency, weight: 4 },
  services: { measure: services, weight: 1 },
  starts: { measure: starts, weight: 1 },
  storm: { measure: storm, weight: 8 },
  idle: { measure: idle, weight: 2 },
  growth: { measure: growth, weight: 4 },
  peers: { measure: peers, weight: 3 },
  profile: { measure: profile, weight: 1 },
  scale: { measure: scale, weight: 8 },
  observed: { measure: observed, weight: 1 },
};

interface Flags {
  readonly quick: boolean;
  readonly only: readonly string[];
  readonly name: string;
  readonly judge: boolean;
  /** The page to write; undefined: none. */
  readonly page?: 'performance' | 'scale';
  readonly resume: boolean;
  /** Whether the other parts of the results stay. */
  readonly again: boolean;
}

function removeOurPins(): void {
  if (!existsSync(BPFFS)) return;
  for (const name of readdirSync(BPFFS))
    if (name.startsWith(`whodunit-test-${process.pid}-`)) spawnSync(LOADER, ['unload', '--pin-dir', join(BPFFS, name)]);
}

async function measurePart(name: PartName, run: Run): Promise<PartResult> {
  const background = await backgroundPercent();
  const began = new Date().toISOString();
  const start = performance.now();
  const before = processorTimes();
  const { figures, growth: grown = [] } = await MEASURED[name].measure(run);
  const { stealPercent } = shares(before, processorTimes());
  const seconds = (performance.now() - start) / 1000;
  return { part: name, began, seconds, backgroundPercent: background, stealPercent, figures, growth: grown };
}

/** Measures the parts. Reports a failed part immediately and omits it from the results. */
async function measure(
  names: readonly PartName[],
  { quick, name: file, resume, again }: Flags,
): Promise<{ results: Results; failed: PartName[] }> {
  const progress = new Progress();
  const otherLoaders: OtherLoader[] = JSON.parse(process.env.WHODUNIT_BENCH_LOADERS ?? '[]');
  const otherService: OtherService | null = JSON.parse(process.env.WHODUNIT_BENCH_SERVICE ?? 'null');
  const now = { quick, commit: thisCommit(), machine: thisMachine() };
  const before = again ? resultsOf(file, now) : null;
  const described = before === null ? now : { quick, commit: before.commit, machine: now.machine };
  const whole = names.reduce((sum, name) => sum + MEASURED[name].weight, 0);
  const parts = before === null ? (resume ? partsOf(file, now) : []) : otherParts(before, names);
  const failed: PartName[] = [];
  let done = 0;
  for (const name of names) {
    const { weight } = MEASURED[name];
    if (parts.some(({ part }) => part === name)) {
      done += weight;
      continue;
    }
    const report = (fraction: number, text: string) =>
      progress.show((done + fraction * weight) / whole, `${name}: ${text}`);
    try {
      const measured = await measurePart(name, { quick, otherLoaders, otherService, progress: report });
      parts.push(now.commit === described.commit ? measured : { ...measured, commit: now.commit });
      // Written after each part, so that an interrupted run keeps its results.
      write(file, { ...described, parts });
    } catch (error) {
      progress.end();
      console.error(`${name}: could not be measured: ${(error as Error).stack}`);
      failed.push(name);
    }
    done += weight;
  }
  progress.end();
  return { results: { ...described, parts }, failed };
}

const pathOf = (name: string): string => join(RESULTS, `${name}.json`);

function write(name: string, results: Results): void {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(pathOf(name), `${JSON.stringify(results, null, 2)}\n`);
}

/** The results of an earlier run on this machine, of the same kind. null: there are none. */
function resultsOf(name: string, { quick, machine }: Pick<Results, 'quick' | 'machine'>): Results | null {
  if (!existsSync(pathOf(name))) return null;
  const before: Results = JSON.parse(readFileSync(pathOf(name), 'utf8'));
  return before.quick === quick && JSON.stringify(before.machine) === JSON.stringify(machine) ? before : null;
}

/** The parts that an interrupted run of the same build has measured. */
function partsOf(name: string, now: Omit<Results, 'parts'>): PartResult[] {
  const before = resultsOf(name, now);
  return before?.commit === now.commit ? [...before.parts] : [];
}

function otherParts({ parts }: Results, names: readonly PartName[]): PartResult[] {
  return parts.filter(({ part }) => !names.includes(part));
}

async function main(flags: Flags): Promise<number> {
  const names = ALL_PARTS.filter((name) => flags.only.includes(name));
  if (flags.again && resultsOf(flags.name, { ...flags, machine: thisMachine() }) === null) {
    console.error(
      `--again: ${pathOf(flags.name)} is absent, of another machine, or of another kind of run (--quick); measure all parts first.`,
    );
    return 1;
  }
  const { results, failed } = flags.judge
    ? { results: JSON.parse(readFileSync(pathOf(flags.name), 'utf8')) as Results, failed: [] }
    : await measure(names, flags);
  console.log(renderResults(results));
  console.error(`\nThe figures are in ${pathOf(flags.name)}.`);
  if (failed.length > 0) {
    console.error(`Not measured: ${failed.join(', ')}.`);
    return 1;
  }
  if (flags.page !== undefined) {
    const page = join(ROOT, `docs/${flags.page}.md`);
    writeFileSync(page, fill(readFileSync(join(ROOT, `bench/${flags.page}.md`), 'utf8'), results));
    console.error(`Wrote ${page}.`);
  }
  return 0;
}

process.on('exit', removeOurPins);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(EXIT_INTERRUPTED));
process.exit(await main(JSON.parse(process.argv[2] ?? '{}')));
