// SPDX-License-Identifier: Apache-2.0
// The effect on other programs: wall time of work with forks, execs, threads and signals under three conditions: nothing attached and
// nothing running; whodunit; and empty programs at the same hooks, the floor for every probe. The conditions take turns (A B C C B A …),
// so that drift affects all of them.
import { figure } from '../figures.ts';
import { type Lap, loadAtRealtime, preempted, startProbeCost } from '../program.ts';
import { estimateRatio, median } from '../statistics.ts';
import { inTurns, type Part, settle, startQuietWhodunit } from './part.ts';

const ROUNDS = 20;
const ROUNDS_QUICK = 2;
/** Short laps of each kind of work, of which the median counts: a disturbance affects only one lap. */
const LAPS = 5;
/** For Go, whose runtime places its threads differently in each run. */
const LAPS_OF_GO = 15;
const SIGUSR1 = 10;

export interface Work {
  readonly id: string;
  readonly title: string;
  /** Default: LAPS. */
  readonly laps?: number;
  /** Takes about 70 ms. */
  readonly run: () => Promise<Lap>;
}

export const WORK: readonly Work[] = [
  { id: 'exit', title: 'fork, exit', run: () => loadAtRealtime(['exit', 0, 1_400]) },
  { id: 'exec', title: 'vfork, exec, exit', run: () => loadAtRealtime(['exec', 120]) },
  { id: 'threads', title: 'thread create, exit', run: () => loadAtRealtime(['threads', 7_000]) },
  { id: 'signals', title: 'ping-pong of SIGUSR1, handled', run: () => loadAtRealtime(['pingpong', SIGUSR1, 35_000]) },
  {
    id: 'preempted',
    title: "a Go program, preempted by its runtime's SIGURG",
    laps: LAPS_OF_GO,
    run: () => preempted(170),
  },
];

const CONDITIONS = {
  without: async () => ({ stop: async () => {} }),
  with: () => startQuietWhodunit(),
  floor: async () => startProbeCost('floor only'),
} as const;
type Condition = keyof typeof CONDITIONS;

export const workload: Part = async ({ quick, progress }) => {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const order: Condition[] = ['without', 'with', 'floor'];
  const samples: Record<Condition, Map<string, number>[]> = { without: [], with: [], floor: [] };
  await inTurns(order, rounds, async (condition, round) => {
    progress(round / rounds, `round ${round + 1} of ${rounds}`);
    const watcher = await CONDITIONS[condition]();
    try {
      await settle();
      samples[condition].push(await lapsOf(WORK));
    } finally {
      await watcher.stop();
    }
  });
  const figures = WORK.flatMap(({ id, title }) => {
    const of = (condition: Condition) => samples[condition].map((one) => one.get(id) ?? Number.NaN);
    const without = of('without');
    const ratios = (condition: Condition) => estimateRatio(of(condition), without);
    return [
      figure(`workload.${id}`, `${title}: wall time with / without`, 'ratio', ratios('with')),
      figure(`workload.${id}.floor`, `${title}: with empty programs / without`, 'ratio', ratios('floor')),
      figure(`workload.${id}.without`, `${title}: without whodunit`, 'µs', median(without) / 1000),
      figure(`workload.${id}.with`, `${title}: with whodunit`, 'µs', median(of('with')) / 1000),
    ];
  });
  return { figures };
};

/** Nanoseconds per repetition of each kind of work. */
export async function lapsOf(work: readonly Work[]): Promise<Map<string, number>> {
  const taken = new Map<string, number>();
  for (const { id, laps = LAPS, run } of work) {
    const samples: number[] = [];
    for (let lap = 0; lap < laps; lap += 1) {
      const { count, wallNs } = await run();
      samples.push(wallNs / count);
    }
    taken.set(id, median(samples));
  }
  return taken;
}
