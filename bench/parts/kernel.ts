// SPDX-License-Identifier: Apache-2.0
// Cost of the probes in the kernel, by event (bench/events.ts). A program handles several kinds of events, so each round generates each kind
// separately, many times. Empty programs are attached to the same hooks: what they cost in the same loads is the floor.
import { type Cost, costOf, EVENTS, EXIT_HOOK, KILLS } from '../events.ts';
import { type Figure, figure } from '../figures.ts';
import { atHook, between, load, type ProbeCost, startProbeCost } from '../program.ts';
import { estimate, estimateRatio, median } from '../statistics.ts';
import { drained, type Part, settle, startQuietWhodunit } from './part.ts';

const ROUNDS = 7;
const ROUNDS_QUICK = 2;

/** The events whose loads also measure the empty programs. */
const FLOORS = [
  { id: 'floor_exit', title: 'empty BPF program at process exit', in: 'exit_normal' },
  { id: 'floor_signal', title: 'empty BPF program at signal generation', in: 'signal_sigchld' },
];

export const kernel: Part = async ({ quick, progress }) => {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const cost = startProbeCost('floor');
  const whodunit = await startQuietWhodunit();
  try {
    const samples = new Map<string, Cost[]>(EVENTS.map(({ id }) => [id, []]));
    const nsOf = (id: string) => (samples.get(id) ?? []).map(({ ns }) => ns);
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, event] of EVENTS.entries()) {
        progress((round + index / EVENTS.length) / (rounds + 1), event.title);
        const alsoNs = event.alsoCauses === undefined ? 0 : median(nsOf(event.alsoCauses));
        samples.get(event.id)?.push(await costOf(event, whodunit.loader.pid, cost, alsoNs));
        await drained(whodunit.at.socket);
      }
    }
    const lost = (await drained(whodunit.at.socket)).lost;
    if (lost > 0) throw new Error(`${lost} terminations were lost: their cost is not that of a reported termination`);
    await whodunit.stop();
    progress(rounds / (rounds + 1), 'filtered exits');
    return { figures: [...figuresOf(samples), await filtered(cost, rounds)] };
  } finally {
    await whodunit.stop();
    await cost.stop();
  }
};

function figuresOf(samples: ReadonlyMap<string, readonly Cost[]>): Figure[] {
  const own = (id: string) => (samples.get(id) ?? []).map(({ ns }) => ns);
  const empty = (id: string) => (samples.get(id) ?? []).map(({ emptyNs }) => emptyNs);
  const floors = FLOORS.map(({ id, title, in: event }) => figure(`kernel.${id}`, title, 'ns', estimate(empty(event))));
  const costs = EVENTS.flatMap(({ id, title, comparedWithEmpty }) => [
    figure(`kernel.${id}`, title, 'ns', estimate(own(id))),
    ...(comparedWithEmpty === undefined
      ? []
      : [
          figure(
            `kernel.${id}.ratio`,
            `${title}: cost / that of an empty program`,
            'ratio',
            estimateRatio(own(id), empty(id)),
          ),
        ]),
  ]);
  return [...floors, ...costs];
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
      const start = await cost.snapshot([whodunit.loader.pid]);
      made += (await load(['exit', 1, KILLS])).count;
      const { runs, ns } = between(start, await cost.snapshot([whodunit.loader.pid]), atHook(EXIT_HOOK));
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
