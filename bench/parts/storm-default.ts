// SPDX-License-Identifier: Apache-2.0
// A storm at the default settings: processes terminate as fast as they can, with and without whodunit in turn (A B B A …). Every one of
// them must be counted, whether it is reported, filtered or aggregated. Other processes may terminate meanwhile: at most as many as were
// started.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { forked } from '../../scripts/stack/forked.ts';
import { startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { type Figure, figure, type Unit } from '../figures.ts';
import { cpuNs, loadOnAll } from '../program.ts';
import { type Estimate, estimateRatio, median } from '../statistics.ts';
import { drained, exportByDefault, inTurns, type Run, settle } from './part.ts';
import { STORM_WORKERS, type StormKind } from './storm-kinds.ts';

const ROUNDS = 8;
const ROUNDS_QUICK = 2;
const SECONDS = 10;
const SECONDS_QUICK = 2;
/** What loader and service have not counted after this time is missing. */
const COUNTED_WITHIN_MS = 30_000;
const POLL_MS = 100;
/** The load and its workers. */
const STORM_PARENTS = 1 + STORM_WORKERS;
/** What is counted twice may arrive later. */
const LATE_MS = 1_500;

/** The terminations since the start of a whodunit. */
interface Totals {
  /** Known to the service, whatever became of them, or lost before it. */
  readonly counted: number;
  /** In all stages. */
  readonly lost: number;
}

/** The fields of /status that are read. */
interface ServiceStatus {
  readonly deaths: {
    readonly received: number;
    readonly lost: Readonly<Record<'kernel' | 'loader' | 'queue' | 'export', number>>;
  };
}

interface Storm {
  readonly count: number;
  readonly perSecond: number;
}

interface Watched extends Storm {
  readonly lost: number;
  /** Counted minus happened. */
  readonly difference: number;
  /** Other processes and threads that were started meanwhile. */
  readonly others: number;
  /** Processor time of loader and service, ns. */
  readonly cpuNs: number;
}

export async function stormByDefault(kind: StormKind, { quick, progress }: Run): Promise<Figure[]> {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const seconds = quick ? SECONDS_QUICK : SECONDS;
  const without: Storm[] = [];
  const watched: Watched[] = [];
  const collector = await startCollector({ keep: 'count' });
  try {
    const unwatched = async () => without.push(await stormOf(kind, seconds));
    const watch = async () => watched.push(await watchedStorm(collector, kind, seconds));
    await inTurns([unwatched, watch], rounds, (condition, round) => {
      progress(round / rounds, `default settings, round ${round + 1} of ${rounds}`);
      return condition();
    });
  } finally {
    await collector.stop();
  }
  return figuresOf(kind, without, watched);
}

async function stormOf({ load }: StormKind, seconds: number): Promise<Storm> {
  const { count, wallNs } = await loadOnAll([load, 0, seconds, STORM_WORKERS]);
  return { count, perSecond: (count / wallNs) * 1e9 };
}

async function watchedStorm(collector: Collector, kind: StormKind, seconds: number): Promise<Watched> {
  const whodunit = await startWhodunit({
    ...exportByDefault(collector, 'http/protobuf'),
    WHODUNIT_REPORT: 'default',
  });
  try {
    await settle();
    const forkedBefore = forked();
    // Terminations before the storm that the service has not read yet would be counted with it.
    await drained(whodunit.at.socket);
    const before = await totals(whodunit);
    const cpuBefore = cpuOf(whodunit);
    const made = await stormOf(kind, seconds);
    const after = await totalsAfter(whodunit, before.counted + made.count);
    return {
      ...made,
      lost: after.lost - before.lost,
      difference: after.counted - before.counted - made.count,
      others: forked() - forkedBefore - made.count - STORM_PARENTS,
      cpuNs: cpuOf(whodunit) - cpuBefore,
    };
  } finally {
    await whodunit.stop();
  }
}

/** Waits until so many terminations are counted, at most COUNTED_WITHIN_MS. */
async function totalsAfter(whodunit: Whodunit, expected: number): Promise<Totals> {
  const end = Date.now() + COUNTED_WITHIN_MS;
  while ((await totals(whodunit)).counted < expected && Date.now() < end) await sleep(POLL_MS);
  await sleep(LATE_MS);
  return await totals(whodunit);
}

async function totals({ at }: Whodunit): Promise<Totals> {
  const response = await fetch(`http://${at.health}/status`);
  const { deaths } = (await response.json()) as ServiceStatus;
  const { kernel, loader, queue, export: rejected } = deaths.lost;
  return { counted: deaths.received + kernel + loader, lost: kernel + loader + queue + rejected };
}

/** How many terminations are missing, or too many even if all others terminated abnormally. */
function miscounted({ difference, others }: Watched): number {
  return Math.max(0, -difference, difference - others);
}

function cpuOf({ loader, service }: Whodunit): number {
  return cpuNs(loader.pid) + cpuNs(service.pid);
}

function figuresOf({ id, title }: StormKind, without: readonly Storm[], watched: readonly Watched[]): Figure[] {
  const named = (name: string, what: string, unit: Unit, value: number | Estimate, note?: string) =>
    figure(`storm.default.${id}.${name}`, `default settings: ${title}: ${what}`, unit, value, note);
  const sum = (value: (storm: Watched) => number) => watched.reduce((total, storm) => total + value(storm), 0);
  const terminations = sum(({ count }) => count);
  const rates = watched.map(({ perSecond }) => perSecond);
  const ratesWithout = without.map(({ perSecond }) => perSecond);
  const differences = watched.map(({ difference, others }) => `${difference} (${others} other forks)`);
  return [
    named('unwatched', 'rate without whodunit', '/s', median(ratesWithout)),
    named('rate', 'rate with whodunit', '/s', median(rates)),
    named('share', 'rate with / without', 'ratio', estimateRatio(rates, ratesWithout)),
    named(
      'lost',
      'lost',
      'count',
      sum(({ lost }) => lost),
      `of ${terminations} terminations`,
    ),
    named(
      'miscounted',
      'counted too often or not at all',
      'count',
      sum(miscounted),
      `counted minus happened, by round: ${differences.join(', ')}`,
    ),
    named(
      'cpu',
      'processor time for 100,000 terminations, loader and service',
      's',
      (sum(({ cpuNs }) => cpuNs) / terminations) * (100_000 / 1e9),
    ),
  ];
}
