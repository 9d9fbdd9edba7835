// SPDX-License-Identifier: Apache-2.0
// Cost in the kernel, and memory, compared with those of other commits: the release, and the one of --against. One loader at a time is attached, and they
// take turns (A B C C B A …), so that drift affects all of them. The service is always that of this commit, which reads what older
// loaders write.
import { setTimeout as sleep } from 'node:timers/promises';
import { LOADER } from '../../scripts/stack/program.ts';
import { costOf, EVENTS } from '../events.ts';
import { type Figure, figure } from '../figures.ts';
import { type ProbeCost, pssBytes, startProbeCost, withHelpers } from '../program.ts';
import { estimateRatio, median } from '../statistics.ts';
import { drained, inTurns, type OtherLoader, type Part, startQuietWhodunit } from './part.ts';

const MB = 1e6;
const ROUNDS = 8;
const ROUNDS_QUICK = 2;
const COMPARED = EVENTS.filter(({ id }) => ['exit_normal', 'death_small', 'death_with_arguments'].includes(id));

/** The id of the memory of the idle loader, with its helper, in bytes. */
const MEMORY = 'pss';
/** What a loader's memory needs to become that of an idle one. */
const IDLE_AFTER_MS = 1_500;

/** By event: the cost in each round, ns. And MEMORY. */
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
  return new Map([...COMPARED.map(({ id }) => id), MEMORY].map((id) => [id, []]));
}

async function measure(loader: string, cost: ProbeCost, samples: Samples): Promise<void> {
  const whodunit = await startQuietWhodunit({}, loader);
  try {
    await sleep(IDLE_AFTER_MS);
    samples.get(MEMORY)?.push(pssBytes(...withHelpers(whodunit.loader.pid)));
    for (const event of COMPARED) {
      samples.get(event.id)?.push((await costOf(event, whodunit.loader.pid, cost)).ns);
      await drained(whodunit.at.socket);
    }
  } finally {
    await whodunit.stop();
  }
}

function compare(current: Samples, other: Samples, { id, name, path }: OtherLoader): Figure[] {
  const memory = { id: MEMORY, title: 'idle loader with its helper: memory (PSS)', unit: 'MB', per: MB };
  const costs = COMPARED.map((event) => ({ id: event.id, title: `${event.title}: cost`, unit: 'ns', per: 1 }));
  return [...costs, memory].map((compared) => {
    const title = `${compared.title} / that of ${name}`;
    if (path === null)
      return figure(`commits.${id}.${compared.id}`, title, 'ratio', null, 'its loader could not be built');
    const mine = current.get(compared.id) ?? [];
    const theirs = other.get(compared.id) ?? [];
    const [of, to] = [mine, theirs].map((samples) =>
      (median(samples) / compared.per).toFixed(compared.per > 1 ? 1 : 0),
    );
    return figure(
      `commits.${id}.${compared.id}`,
      title,
      'ratio',
      estimateRatio(mine, theirs),
      `${of} / ${to} ${compared.unit}`,
    );
  });
}
