// SPDX-License-Identifier: Apache-2.0
// Profiles loader and service (V8's profiler and perf) while processes terminate at a steady rate, and the probe that reports a
// termination (perf). Profiling itself costs time, so nothing else is measured here.
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCollector } from '../../scripts/stack/collector.ts';
import { type Program, startProgram, temporaryDirectory } from '../../scripts/stack/program.ts';
import { startWhodunit } from '../../scripts/stack/whodunit.ts';
import { type Figure, figure } from '../figures.ts';
import { type CallFrame, type Share, sharesOfCpuProfile, sharesOfPerfReport, sharesOfPerfScript } from '../profile.ts';
import { load } from '../program.ts';
import { drained, exportByDefault, LONG_ARGS, LONG_ENV, type Part, settle, startQuietWhodunit } from './part.ts';

const RATE = 2_000;
const SECONDS = 10;
const SECONDS_QUICK = 3;
const SHOWN = 12;
const SAMPLES_PER_SECOND = 999;
/** As in the kernel part: the processor is idle in between. */
const DEATHS_PER_SECOND = 1_000;
const KERNEL_SAMPLES_PER_SECOND = 9_999;

export const profile: Part = async ({ quick, progress }) => {
  const seconds = quick ? SECONDS_QUICK : SECONDS;
  const directory = temporaryDirectory();
  try {
    progress(0.1, `${RATE} terminations/s`);
    const programs = await ofPrograms(directory.path, seconds);
    progress(0.5, `${DEATHS_PER_SECOND} terminations/s with long texts`);
    return { figures: [...programs, ...(await ofProbe(directory.path, seconds))] };
  } finally {
    directory.remove();
  }
};

async function ofPrograms(directory: string, seconds: number): Promise<Figure[]> {
  const profiles = join(directory, 'profiles');
  const samples = join(directory, 'loader.data');
  mkdirSync(profiles);
  const collector = await startCollector({ keep: 'count' });
  try {
    const whodunit = await startWhodunit({
      ...exportByDefault(collector, 'http/protobuf'),
      NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}`,
    });
    try {
      await settle();
      const what = ['-F', String(SAMPLES_PER_SECOND), '-p', String(whodunit.loader.pid)];
      const record = startPerf(samples, seconds, what);
      await load(['storm', RATE, seconds, 1]);
      await ended(record);
      await drained(whodunit.at.socket);
    } finally {
      await whodunit.stop();
    }
  } finally {
    await collector.stop();
  }
  const report = await perf(['report', '-i', samples, '--stdio', '--no-children', '--sort', 'symbol']);
  const [file = ''] = readdirSync(profiles);
  const ofService = sharesOfCpuProfile(JSON.parse(readFileSync(join(profiles, file), 'utf8')), sourceOfBundle());
  return [...figures('service', ofService), ...figures('loader', sharesOfPerfReport(report))];
}

/** Reads each source map of the bundle once. */
function sourceOfBundle(): (frame: CallFrame) => string | null {
  const maps = new Map<string, SourceMap | null>();
  return ({ url, lineNumber, columnNumber }) => {
    if (!url.startsWith('file:')) return null;
    const path = `${fileURLToPath(url)}.map`;
    if (!maps.has(path))
      maps.set(path, existsSync(path) ? new SourceMap(JSON.parse(readFileSync(path, 'utf8'))) : null);
    const entry = maps.get(path)?.findEntry(lineNumber, columnNumber);
    return entry !== undefined && 'originalSource' in entry ? entry.originalSource : null;
  };
}

async function ofProbe(directory: string, seconds: number): Promise<Figure[]> {
  const samples = join(directory, 'probe.data');
  const whodunit = await startQuietWhodunit();
  try {
    await settle();
    const what = ['-F', String(KERNEL_SAMPLES_PER_SECOND), '-a', '-g', '-e', 'cpu-clock'];
    const record = startPerf(samples, seconds, what);
    await load(['storm', DEATHS_PER_SECOND, seconds, 1, ...LONG_ARGS], LONG_ENV);
    await ended(record);
    await drained(whodunit.at.socket);
    // Before whodunit stops: perf resolves the names of BPF programs only while they are loaded.
    const script = await perf(['script', '-i', samples, '--comms', 'load', '-F', 'ip,sym']);
    return figures('probe', sharesOfPerfScript(script, 'on_sched_process_exit'));
  } finally {
    await whodunit.stop();
  }
}

function startPerf(output: string, seconds: number, what: readonly string[]): Program {
  return startProgram('perf', ['record', '-q', '-o', output, ...what, '--', 'sleep', String(seconds)]);
}

async function ended(record: Program): Promise<void> {
  const { code } = await record.ended;
  if (code !== 0) throw new Error(`perf record ended with ${code}: ${record.output()}`);
}

/** Runs perf and returns its standard output. */
async function perf(args: readonly string[]): Promise<string> {
  const program = startProgram('perf', args);
  await program.ended;
  if (program.stdout().trim() === '') throw new Error(`perf ${args[0]} printed nothing: ${program.output()}`);
  return program.stdout();
}

function figures(program: string, shares: readonly Share[]): Figure[] {
  return shares
    .slice(0, SHOWN)
    .map(({ name, percent }) => figure(`profile.${program}.${name}`, `the ${program}, in ${name}`, '%', percent));
}
