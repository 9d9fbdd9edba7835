// SPDX-License-Identifier: Apache-2.0
// Runs the programs that generate load and those that measure it. scripts/commands/bench.ts builds them.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  LOAD,
  NODE,
  type Program,
  ROOT,
  SERVICE_FLAGS,
  startProgram,
  temporaryDirectory,
} from '../scripts/stack/program.ts';

export { LOAD };
export const PREEMPTED = join(ROOT, 'build/bench-preempted');
const PROBE_COST = join(ROOT, 'build/bench-probe-cost');
const MINIMAL_SERVICE = join(ROOT, 'bench/least-service.ts');

/** A load of one process at a time stays on one processor: migrations cost more than what is measured. */
const LAST_PROCESSOR = String(availableParallelism() - 1);
/**
 * Real-time priority: no other program preempts the load, so that only costs in its own path are measured. For short laps only: the
 * kernel throttles a real-time program that never sleeps for 50 ms of each second (sched_rt_runtime_us).
 */
const REALTIME = ['--fifo', '1'];
const ANSWER_WITHIN_MS = 10_000;

export interface Lap {
  /** Number of repetitions. */
  readonly count: number;
  readonly wallNs: number;
}

/** Runs a program until it exits and parses its output as JSON. Throws if it fails. */
async function outputOf<Output>(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Output> {
  const running = startProgram(program, args, { env });
  const { code, signal } = await running.ended;
  if (code !== 0)
    throw new Error(`${[program, ...args].join(' ')} ended with ${signal ?? `code ${code}`}: ${running.output()}`);
  return JSON.parse(running.stdout());
}

async function lap(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Lap> {
  const { count, wall_ns } = await outputOf<{ count: number; wall_ns: number }>(program, args, env);
  return { count, wallNs: wall_ns };
}

/** Processor time of the minimal service (least-service.ts) for one termination, ns: the mean over `deaths`. `env`: the export target. */
export async function minimalServiceNs(deaths: number, env: NodeJS.ProcessEnv): Promise<number> {
  const directory = temporaryDirectory();
  try {
    const args = [...SERVICE_FLAGS, MINIMAL_SERVICE, directory.path, String(deaths)];
    const { count, cpu_ns } = await outputOf<{ count: number; cpu_ns: number }>(NODE, args, env);
    return cpu_ns / count;
  } finally {
    directory.remove();
  }
}

/** Runs a load with the arguments of load.c. The environment is only PATH and `env`, so that the load is the same on each machine. */
export function load(args: readonly (string | number)[], env: NodeJS.ProcessEnv = {}): Promise<Lap> {
  return lap('taskset', ['-c', LAST_PROCESSOR, LOAD, ...args.map(String)], { PATH: process.env.PATH, ...env });
}

/** As load(), with real-time priority. */
export function loadAtRealtime(args: readonly (string | number)[]): Promise<Lap> {
  return lap('chrt', [...REALTIME, 'taskset', '-c', LAST_PROCESSOR, LOAD, ...args.map(String)], {
    PATH: process.env.PATH,
  });
}

/** As load(), on all processors, for loads with workers. */
export function loadOnAll(args: readonly (string | number)[]): Promise<Lap> {
  return lap(LOAD, args.map(String), {});
}

/** Runs the preempted Go program on all processors, with real-time priority. */
export function preempted(collections: number): Promise<Lap> {
  return lap('chrt', [...REALTIME, PREEMPTED, String(collections)], { PATH: process.env.PATH });
}

/** Starts processes that do nothing. `stop` resolves when all have exited. */
export async function startSleepers(count: number): Promise<{ stop: () => Promise<void> }> {
  const program = startProgram(LOAD, ['sleepers', String(count)]);
  await answerOf(program);
  return {
    stop: async () => {
      program.child.stdin?.end();
      await program.ended;
    },
  };
}

export interface AskedCrashes {
  /** Lets one process crash, each at another place, and waits until it has. */
  readonly crash: () => Promise<void>;
  readonly stop: () => Promise<unknown>;
}

export function startAskedCrashes(places: number): AskedCrashes {
  const program = startProgram('taskset', ['-c', LAST_PROCESSOR, LOAD, 'crash-asked', String(places)]);
  const lines = createInterface({ input: program.child.stdout ?? process.stdin })[Symbol.asyncIterator]();
  const crash = async (): Promise<void> => {
    program.child.stdin?.write('.');
    if ((await lines.next()).done) throw new Error(`the load ended: ${program.output()}`);
  };
  return { crash, stop: program.stop };
}

/** The proportional set size of the processes: shared pages are divided by the number of processes that share them (proc_pid_smaps(5)). */
export function pssBytes(...pids: number[]): number {
  return pids.reduce((sum, pid) => {
    const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
    if (kilobytes === undefined) throw new Error(`/proc/${pid}/smaps_rollup has no Pss`);
    return sum + Number(kilobytes) * 1024;
  }, 0);
}

/**
 * What the process takes where no other one runs its program: PSS, but the pages of its executable in full (Rss of proc_pid_smaps(5)). The
 * benchmark itself runs in Node.js, and shares the pages of its executable with the service.
 */
export function aloneBytes(pid: number): number {
  const executable = readlinkSync(`/proc/${pid}/exe`);
  return aloneKilobytes(readFileSync(`/proc/${pid}/smaps`, 'utf8'), executable) * 1024;
}

/** Pure. `smaps`: the text of the file of that name. */
export function aloneKilobytes(smaps: string, executable: string): number {
  // Each mapping is a line that begins with its addresses, and lines with its values.
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).reduce((sum, mapping) => {
    const own = (mapping.split('\n')[0] ?? '').endsWith(` ${executable}`);
    return sum + Number(new RegExp(`^${own ? 'Rss' : 'Pss'}:\\s+(\\d+) kB$`, 'm').exec(mapping)?.[1] ?? 0);
  }, 0);
}

/** A loader, and the processes of it that unwind crashes. A loader of a test has another one, which removes its pins. */
export function withHelpers(loader: number): number[] {
  const children = readdirSync(`/proc/${loader}/task`)
    .flatMap((task) => readFileSync(`/proc/${loader}/task/${task}/children`, 'utf8').trim().split(' '))
    .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('crash-helper'));
  return [loader, ...children.flatMap((pid) => withHelpers(Number(pid)))];
}

export interface ProgramCost {
  readonly id: number;
  readonly name: string;
  /** The raw tracepoint to which it is attached; empty for other programs. */
  readonly hook: string;
  readonly runs: number;
  readonly run_time_ns: number;
}

export interface Snapshot {
  readonly programs: readonly ProgramCost[];
  readonly maps: readonly { readonly id: number; readonly name: string; readonly memory_bytes: number }[];
}

export interface ProbeCost {
  readonly pid: number;
  /** Returns the BPF programs that these processes hold, and their maps. */
  readonly snapshot: (pids: readonly number[]) => Promise<Snapshot>;
  readonly stop: () => Promise<unknown>;
}

/**
 * Until `stop`, the kernel times all BPF programs. `floor`: in addition, empty programs, held by `pid`, are attached to whodunit's hooks.
 * `floor only`: the empty programs without the timing.
 */
export function startProbeCost(mode: 'costs' | 'floor' | 'floor only'): ProbeCost {
  const program = startProgram(PROBE_COST, mode === 'costs' ? [] : [`--${mode.replace(' ', '-')}`]);
  const lines = createInterface({ input: program.child.stdout ?? process.stdin })[Symbol.asyncIterator]();
  const snapshot = async (pids: readonly number[]): Promise<Snapshot> => {
    program.child.stdin?.write(`${pids.join(' ')}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`probe-cost ended: ${program.output()}`);
    return JSON.parse(value);
  };
  return { pid: program.pid, snapshot, stop: program.stop };
}

/** Which of the programs in a snapshot. */
export type Chosen = (program: ProgramCost) => boolean;

/** The empty programs of probe-cost begin with it. */
const FLOOR = 'floor_';
/** Those at a raw tracepoint, without the empty one. */
export const atHook =
  (hook: string): Chosen =>
  (program) =>
    program.hook === hook && !program.name.startsWith(FLOOR);
/** The empty one at a raw tracepoint. */
export const emptyAt =
  (hook: string): Chosen =>
  (program) =>
    program.hook === hook && program.name.startsWith(FLOOR);

/**
 * Returns how often the chosen programs ran between two snapshots, and their time. Programs at the same hook run for the same events, so
 * `runs` is that of the one that ran most often.
 */
export function between(before: Snapshot, after: Snapshot, chosen: Chosen): { runs: number; ns: number } {
  const increases = after.programs.filter(chosen).map((program) => {
    const earlier = before.programs.find(({ id }) => id === program.id);
    return {
      runs: program.runs - (earlier?.runs ?? 0),
      ns: program.run_time_ns - (earlier?.run_time_ns ?? 0),
    };
  });
  return {
    runs: Math.max(0, ...increases.map(({ runs }) => runs)),
    ns: increases.reduce((sum, { ns }) => sum + ns, 0),
  };
}

/** Processor time of a process's live threads, ns (first field of schedstat, Documentation/scheduler/sched-stats.rst). */
export function cpuNs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks)
    .map((tid) => Number(readFileSync(`${tasks}/${tid}/schedstat`, 'utf8').split(' ')[0]))
    .reduce((sum, one) => sum + one, 0);
}

function answerOf(program: Program): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer: ${program.output()}`)), ANSWER_WITHIN_MS * 6);
    program.child.stdout?.once('data', (text) => {
      clearTimeout(timer);
      resolve(text);
    });
    program.ended.then(() => reject(new Error(`the program has ended: ${program.output()}`)), reject);
  });
}
