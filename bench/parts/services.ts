// SPDX-License-Identifier: Apache-2.0
// From single terminations to their records, with the service of this commit and with that of another one (--against): what was added since
// must not delay the first record of an act. Both have the same loader, Node.js and load; they take turns (A B B A …), so that drift affects both.
// Without a queue, a record is printed; with one, it is stored, and sent to a real collector.
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { SERVICE, temporaryDirectory } from '../../scripts/stack/program.ts';
import { type Place, startService, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { printedRecord, type Timed } from '../arrivals.ts';
import { type Figure, figure } from '../figures.ts';
import { load } from '../program.ts';
import { estimateRatio, quantile } from '../statistics.ts';
import { latenciesOf } from './latency.ts';
import { exportByDefault, inTurns, type Part, settle } from './part.ts';

/** Programs that exit in each second: each is an act of its own. */
const RATE = 10;
const COUNT = 300;
const COUNT_QUICK = 50;
const ROUNDS = 6;
const ROUNDS_QUICK = 2;
/** Until the code is compiled, and the connection open. */
const WARM_UP = 50;
const QUANTILES = [
  { id: 'p50', fraction: 0.5 },
  { id: 'p99', fraction: 0.99 },
] as const;
const WAYS = [
  { id: 'printed', title: 'printed' },
  { id: 'queued', title: 'stored and sent' },
] as const;
type Way = (typeof WAYS)[number]['id'];

/** All are programs of one service: a limit that none reaches. With `off`, terminations would share no incident. */
const ENV = { WHODUNIT_RECORDS_PER_MINUTE: '100000' };

/** By way: the latencies of each round, ms. */
type Samples = Readonly<Record<Way, number[][]>>;

export const services: Part = async ({ quick, progress, otherService }) => {
  if (otherService === null) return { figures: [] };
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const mine: Samples = { printed: [], queued: [] };
  const theirs: Samples = { printed: [], queued: [] };
  const conditions = WAYS.flatMap(({ id }) => [
    { way: id, main: SERVICE, samples: mine },
    { way: id, main: otherService.path, samples: theirs },
  ]);
  let done = 0;
  await inTurns(conditions, rounds, async ({ way, main, samples }, round) => {
    progress(done / conditions.length / rounds, `round ${round + 1} of ${rounds}, ${way}`);
    samples[way].push(await (way === 'printed' ? printed : queued)(main, quick ? COUNT_QUICK : COUNT));
    done += 1;
  });
  return { figures: WAYS.flatMap(({ id, title }) => compare(id, title, mine[id], theirs[id], otherService.name)) };
};

async function printed(main: string, count: number): Promise<number[]> {
  const directory = temporaryDirectory();
  const path = join(directory.path, 'printed');
  const file = openSync(path, 'w');
  const start = (at: Place, env: NodeJS.ProcessEnv) =>
    startService(at, env, ['--output', 'json'], ['ignore', file, 'inherit'], main);
  try {
    const env = { ...ENV, OTEL_LOGS_EXPORTER: 'console', OTEL_METRICS_EXPORTER: 'none' };
    return await measured(await startWhodunit(env, {}, undefined, start), path, count, printedRecord);
  } finally {
    closeSync(file);
    directory.remove();
  }
}

async function queued(main: string, count: number): Promise<number[]> {
  const collector: Collector = await startCollector({ keep: 'at once' });
  const start = (at: Place, env: NodeJS.ProcessEnv) => startService(at, env, [], undefined, main);
  try {
    const env = { ...ENV, ...exportByDefault(collector, 'http/protobuf') };
    return await measured(await startWhodunit(env, {}, undefined, start), collector.logsFilePath, count);
  } finally {
    await collector.stop();
  }
}

async function measured(
  whodunit: Whodunit,
  path: string,
  count: number,
  records?: (line: string) => readonly Timed[],
): Promise<number[]> {
  try {
    await settle();
    await load(['singles', RATE * 5, WARM_UP]);
    return await latenciesOf(path, whodunit, ['singles', RATE, count], records);
  } finally {
    await whodunit.stop();
  }
}

function compare(
  way: Way,
  title: string,
  mine: readonly (readonly number[])[],
  theirs: readonly (readonly number[])[],
  name: string,
): Figure[] {
  return QUANTILES.map(({ id, fraction }) => {
    const [of, to] = [mine, theirs].map((rounds) => rounds.map((latencies) => quantile(latencies, fraction)));
    const [all, before] = [mine, theirs].map((rounds) => quantile(rounds.flat(), fraction).toFixed(1));
    return figure(
      `services.before.${way}.${id}`,
      `first record ${title}: ${id} / that of ${name}`,
      'ratio',
      estimateRatio(of ?? [], to ?? []),
      `of all rounds: ${all} / ${before} ms; of a round: ${spread(of ?? [])} / ${spread(to ?? [])} ms`,
    );
  });
}

function spread(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(1)} – ${Math.max(...values).toFixed(1)}`;
}
