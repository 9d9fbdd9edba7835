// SPDX-License-Identifier: Apache-2.0
// Cost in the kernel, compared with that of other commits: the release, and the one of --against. One loader at a time is attached, and they
// take turns (A B C C B A …), so that drift affects all of them. The service is always that of this commit, which reads what older
// loaders write.
import { LOADER } from '../../scripts/stack/program.ts';
import { costOf, EVENTS } from '../events.ts';
import { type Figure, figure } from '../figures.ts';
import { type ProbeCost, startProbeCost } from '../program.ts';
import { estimateRatio, median } from '../statistics.ts';
import { drained, inTurns, type OtherLoader, type Part, settle, startQuietWhodunit } from './part.ts';

const ROUNDS = 8;
const ROUNDS_QUICK = 2;
const COMPARED = EVENTS.filter(({ id }) => ['exit_normal', 'death_small', 'death_with_arguments'].includes(id));

/** By event: the cost in each round, ns. */
type Samples = ReadonlyMap<string, number[]>;

export const commits: Part = async ({ quick, progress, otherLoaders }) => {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const current = noSamples();
  const others = otherLoaders.map((loader) => ({ loader, samples: noSamples() }));
  const built = others.flatMap(({ loader: { path }, samples }) => (path === null ? [] : [{ path, samples }]));
  const order = [{ path: LOADER, samples: current }, ...built];
  const cost = startProbeCost('costs');
  try {
    await inTurns(order, rounds, async ({ path, samples }, round) => {
      progress(round / rounds, `round ${round + 1} of ${rounds}`);
      await measure(path, cost, samples);
    });
  } finally {
    await cost.stop();
  }
  return { figures: others.flatMap(({ loader, samples }) => compare(current, samples, loader)) };
};

function noSamples(): Samples {
  return new Map(COMPARED.map(({ id }) => [id, []]));
}

async function measure(loader: string, cost: ProbeCost, samples: Samples): Promise<void> {
  const whodunit = await startQuietWhodunit({}, loader);
  try {
    await settle();
    for (const event of COMPARED) {
      samples.get(event.id)?.push((await costOf(event, whodunit.loader.pid, cost)).ns);
      await drained(whodunit.at.socket);
    }
  } finally {
    await whodunit.stop();
  }
}

function compare(current: Samples, other: Samples, { id, name, path }: OtherLoader): Figure[] {
  return COMPARED.map((event) => {
    const title = `${event.title}: cost / that of ${name}`;
    if (path === null)
      return figure(`commits.${id}.${event.id}`, title, 'ratio', null, 'its loader could not be built');
    const mine = current.get(event.id) ?? [];
    const theirs = other.get(event.id) ?? [];
    const note = `${median(mine).toFixed(0)} / ${median(theirs).toFixed(0)} ns`;
    return figure(`commits.${id}.${event.id}`, title, 'ratio', estimateRatio(mine, theirs), note);
  });
}
