// SPDX-License-Identifier: Apache-2.0
// Cost of the probes in the kernel, from the kernel's own timing of each run of a BPF program (bpf_stats). A program handles several kinds
// of events, so each round generates each kind separately, many times, and divides the increase of the counters.
import type { Whodunit } from '../../scripts/stack/whodunit.ts';
import { type Figure, figure } from '../figures.ts';
import { between, type Lap, load, type ProbeCost, type Snapshot, startProbeCost } from '../program.ts';
import { estimate, median } from '../statistics.ts';
import { drained, LONG_ARGS, LONG_ENV, type Part, settle, startQuietWhodunit } from './part.ts';

const ROUNDS = 7;
const ROUNDS_QUICK = 2;
/** The kernel keeps 15 characters of a program's name. */
export const EXIT_PROGRAM = 'on_sched_proces';
export const SIGNAL_PROGRAM = 'on_signal_gener';
const DELIVER_PROGRAM = 'on_signal_deliv';
const FLOOR_EXIT = 'floor_sched_pro';
const FLOOR_SIGNAL = 'floor_signal_ge';

const SIGUSR1 = 10;
const SIGTERM = 15;
const SIGURG = 23;
const EXITS = 10_000;
const THREADS = 20_000;
const SIGNALS = 50_000;
const KILLS = 2_000;
/** Terminations are paced, because a ring that runs low shrinks their records. */
const DEATHS_PER_SECOND = 1_000;
const DEATH_SECONDS = 2;
/** With 6 KB each, they use less than half of the ring even if the loader reads nothing in the meantime. */
const DEATHS_IN_A_ROW = 500;

interface Event {
  readonly id: string;
  readonly title: string;
  readonly make: () => Promise<Lap>;
  readonly program: string;
  /** Id of an event measured earlier: the load also causes these, in the same program, and their cost is subtracted. */
  readonly alsoCauses?: string;
}

const exitLoad = () => load(['exit', 0, EXITS]);
const deaths = (...more: string[]) => ['storm', DEATHS_PER_SECOND, DEATH_SECONDS, 1, ...more];

const EVENTS: readonly Event[] = [
  { id: 'floor_exit', title: 'empty BPF program at process exit', make: exitLoad, program: FLOOR_EXIT },
  { id: 'exit_normal', title: 'normal exit', make: exitLoad, program: EXIT_PROGRAM },
  {
    id: 'thread_exit',
    title: 'thread exit',
    make: () => load(['threads', THREADS]),
    program: EXIT_PROGRAM,
  },
  { id: 'floor_signal', title: 'empty BPF program at signal generation', make: exitLoad, program: FLOOR_SIGNAL },
  { id: 'signal_sigchld', title: 'ignored signal: SIGCHLD', make: exitLoad, program: SIGNAL_PROGRAM },
  {
    id: 'signal_sigurg',
    title: 'ignored signal: SIGURG',
    make: () => load(['send', SIGURG, SIGNALS]),
    program: SIGNAL_PROGRAM,
  },
  {
    id: 'signal_handled',
    title: 'signal to a handler, not stored: SIGUSR1',
    make: () => load(['pingpong', SIGUSR1, SIGNALS]),
    program: SIGNAL_PROGRAM,
  },
  {
    id: 'signal_delivered',
    title: 'the same signal, at delivery',
    make: () => load(['pingpong', SIGUSR1, SIGNALS]),
    program: DELIVER_PROGRAM,
  },
  {
    id: 'signal_remembered_again',
    title: 'stored signal: handled SIGTERM, repeatedly',
    make: () => load(['pingpong', SIGTERM, SIGNALS]),
    program: SIGNAL_PROGRAM,
  },
  {
    id: 'signal_remembered',
    title: 'stored signal: SIGKILL, the first of its process',
    make: () => load(['kill', KILLS]),
    program: SIGNAL_PROGRAM,
    alsoCauses: 'signal_sigchld',
  },
  {
    id: 'death_killed',
    title: 'reported termination by SIGKILL',
    make: () => load(['kill', KILLS]),
    program: EXIT_PROGRAM,
  },
  {
    id: 'death_small',
    title: 'reported termination, few arguments',
    make: () => load(deaths(), {}),
    program: EXIT_PROGRAM,
  },
  {
    id: 'death_with_arguments',
    title: 'reported termination, 3 KB of arguments and 2 KB of environment',
    make: () => load(deaths(...LONG_ARGS), LONG_ENV),
    program: EXIT_PROGRAM,
  },
  {
    id: 'death_in_a_row',
    title: 'the same, without pauses',
    make: () => load(['exit', 3, DEATHS_IN_A_ROW, ...LONG_ARGS], LONG_ENV),
    program: EXIT_PROGRAM,
  },
];

export const kernel: Part = async ({ quick, progress }) => {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const cost = startProbeCost('floor');
  const whodunit = await startQuietWhodunit();
  try {
    const samples = new Map<string, number[]>(EVENTS.map(({ id }) => [id, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, event] of EVENTS.entries()) {
        progress((round + index / EVENTS.length) / (rounds + 1), event.title);
        const alsoNs = event.alsoCauses === undefined ? 0 : median(samples.get(event.alsoCauses) ?? []);
        samples.get(event.id)?.push(await nsPerEvent(event, whodunit, cost, alsoNs));
        await drained(whodunit.at.socket);
      }
    }
    const figures = EVENTS.map(({ id, title }) => figure(`kernel.${id}`, title, 'ns', estimate(samples.get(id) ?? [])));
    const lost = (await drained(whodunit.at.socket)).lost;
    if (lost > 0) throw new Error(`${lost} terminations were lost: their cost is not that of a reported termination`);
    await whodunit.stop();
    progress(rounds / (rounds + 1), 'filtered exits');
    return { figures: [...figures, await filtered(cost, rounds)] };
  } finally {
    await whodunit.stop();
    await cost.stop();
  }
};

/** Nanoseconds per event of that kind: the mean of one load. */
async function nsPerEvent(event: Event, whodunit: Whodunit, cost: ProbeCost, alsoNs: number): Promise<number> {
  const pids = [whodunit.loader.pid, cost.pid];
  const before = await cost.snapshot(pids);
  const { count } = await event.make();
  const { runs, ns } = between(before, await cost.snapshot(pids), event.program);
  if (runs < count) throw new Error(`${event.title}: generated ${count} events, but the program ran ${runs} times`);
  return event.alsoCauses === undefined ? ns / runs : (ns - (runs - count) * alsoNs) / count;
}

/** Measures exits with code 1 of short-lived processes, which are filtered by default. */
async function filtered(cost: ProbeCost, rounds: number): Promise<Figure> {
  const whodunit = await startQuietWhodunit({ WHODUNIT_REPORT: 'default' });
  try {
    await settle();
    const samples: number[] = [];
    let made = 0;
    const before = await drained(whodunit.at.socket);
    for (let round = 0; round < rounds; round += 1) {
      const start: Snapshot = await cost.snapshot([whodunit.loader.pid]);
      made += (await load(['exit', 1, KILLS])).count;
      const { runs, ns } = between(start, await cost.snapshot([whodunit.loader.pid]), EXIT_PROGRAM);
      samples.push(ns / runs);
      await drained(whodunit.at.socket);
    }
    const sent = (await drained(whodunit.at.socket)).deaths - before.deaths;
    const note = sent >= made ? 'not filtered in the kernel: the service filters it' : undefined;
    return figure('kernel.exit_filtered', 'filtered exit with code 1', 'ns', estimate(samples), note);
  } finally {
    await whodunit.stop();
  }
}
