// SPDX-License-Identifier: Apache-2.0
// The programs that make the load and those that measure it, as the parts of the benchmark run them. Built by scripts/commands/bench.ts.
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { NODE, type Program, ROOT, SERVICE_FLAGS, startProgram, temporaryDirectory } from '../scripts/stack/program.ts';

export const LOAD = join(ROOT, 'build/bench-load');
export const PREEMPTED = join(ROOT, 'build/bench-preempted');
const PROBE_COST = join(ROOT, 'build/bench-probe-cost');
const LEAST_SERVICE = join(ROOT, 'bench/least-service.ts');

/** A load that one process makes at a time stays on one processor: moving between them costs more than what is measured. */
const LAST_PROCESSOR = String(availableParallelism() - 1);
/**
 * With real-time priority: no other program interrupts it, so that only costs in its own path are measured. For short laps only: the
 * kernel stops a real-time program that never waits for 50 ms of each second (sched_rt_runtime_us).
 */
const FIRST = ['--fifo', '1'];
const ANSWER_WITHIN_MS = 10_000;

export interface Lap {
  /** How many times it was done. */
  readonly count: number;
  readonly wallNs: number;
}

/** Runs a program that prints an object, to its end. Throws if it fails. */
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

/** Processor time, ns, of the minimum that a service must do with a termination (least-service.ts): the mean of `count`. `env`: where it sends to. */
export async function leastOfService(deaths: number, env: NodeJS.ProcessEnv): Promise<number> {
  const directory = temporaryDirectory();
  try {
    const args = [...SERVICE_FLAGS, LEAST_SERVICE, directory.path, String(deaths)];
    const { count, cpu_ns } = await outputOf<{ count: number; cpu_ns: number }>(NODE, args, env);
    return cpu_ns / count;
  } finally {
    directory.remove();
  }
}

/** `args` as in load.c. The environment is empty but for `env`, so that each machine's load is the same. */
export function load(args: readonly (string | number)[], env: NodeJS.ProcessEnv = {}): Promise<Lap> {
  return lap('taskset', ['-c', LAST_PROCESSOR, LOAD, ...args.map(String)], { PATH: process.env.PATH, ...env });
}

/** The same with real-time priority. */
export function loadAlone(args: readonly (string | number)[]): Promise<Lap> {
  return lap('chrt', [...FIRST, 'taskset', '-c', LAST_PROCESSOR, LOAD, ...args.map(String)], {
    PATH: process.env.PATH,
  });
}

/** The same on all processors, for loads with workers. */
export function loadOnAll(args: readonly (string | number)[]): Promise<Lap> {
  return lap(LOAD, args.map(String), {});
}

/** A Go program on all processors, with real-time priority. */
export function preempted(collections: number): Promise<Lap> {
  return lap('chrt', [...FIRST, PREEMPTED, String(collections)], { PATH: process.env.PATH });
}

/** Processes that do nothing. `gone` resolves when none is left. */
export async function startSleepers(count: number): Promise<{ gone: () => Promise<void> }> {
  const program = startProgram(LOAD, ['sleepers', String(count)]);
  await answerOf(program);
  return {
    gone: async () => {
      program.child.stdin?.end();
      await program.ended;
    },
  };
}

export interface ProgramCost {
  readonly id: number;
  readonly name: string;
  readonly runs: number;
  readonly run_time_ns: number;
}

export interface Snapshot {
  readonly programs: readonly ProgramCost[];
  readonly maps: readonly { readonly id: number; readonly name: string; readonly memory_bytes: number }[];
}

export interface ProbeCost {
  readonly pid: number;
  /** The BPF programs that these processes hold, and their maps. */
  readonly snapshot: (pids: readonly number[]) => Promise<Snapshot>;
  readonly stop: () => Promise<unknown>;
}

/**
 * From here to `stop`, the kernel times all BPF programs. `floor`: and there are programs that do nothing, held by `pid`, at the same
 * hooks as whodunit's; `floor only`: these alone, without the timing.
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

/** What the programs with this prefix of their names did between two snapshots. */
export function between(before: Snapshot, after: Snapshot, name: string): { runs: number; ns: number } {
  let runs = 0;
  let ns = 0;
  for (const program of after.programs) {
    if (!program.name.startsWith(name)) continue;
    const earlier = before.programs.find(({ id }) => id === program.id);
    runs += program.runs - (earlier?.runs ?? 0);
    ns += program.run_time_ns - (earlier?.run_time_ns ?? 0);
  }
  return { runs, ns };
}

/** Processor time of the live threads of a process, ns (the first field of each schedstat, Documentation/scheduler/sched-stats.rst). */
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
    program.ended.then(() => reject(new Error(`it has ended: ${program.output()}`)), reject);
  });
}
