// SPDX-License-Identifier: Apache-2.0
// What the history costs in a storm: the same terminations, each with a record, with the history and with WHODUNIT_HISTORY=off in turn
// (A B B A …), at a rate that both can handle. Processor time, because the highest rates of two searches differ by more than this.
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { until } from '../../scripts/stack/program.ts';
import { startWhodunit } from '../../scripts/stack/whodunit.ts';
import { type Figure, figure } from '../figures.ts';
import { cpuNs, loadOnAll } from '../program.ts';
import { estimateRatio, median } from '../statistics.ts';
import { exportByDefault, inTurns, loaderCounters, type Run, settle } from './part.ts';
import { STORM_WORKERS, type StormKind } from './storm-kinds.ts';

const ROUNDS = 4;
const ROUNDS_QUICK = 2;
const SECONDS = 8;
const SECONDS_QUICK = 3;
/** Of the rate without whodunit: low enough that nothing is lost and no queue grows. */
const RATE_SHARE = 0.2;
const ARRIVED_WITHIN_MS = 120_000;
const POLL_MS = 50;

type Condition = 'with' | 'without';

/** Processor time for one termination, ns. */
interface Cost {
  readonly service: number;
  readonly all: number;
}

export async function stormWithAndWithoutHistory(kind: StormKind, { quick, progress }: Run): Promise<Figure[]> {
  const rounds = quick ? ROUNDS_QUICK : ROUNDS;
  const seconds = quick ? SECONDS_QUICK : SECONDS;
  const costs: Record<Condition, Cost[]> = { with: [], without: [] };
  progress(0, 'without whodunit');
  const { count, wallNs } = await loadOnAll([kind.load, 0, seconds, STORM_WORKERS]);
  const limit = (count / wallNs) * 1e9;
  const collector = await startCollector({ keep: 'count' });
  try {
    await inTurns(['with', 'without'] as const, rounds, async (condition, round) => {
      progress((round + 1) / (rounds + 1), `${condition} the history, round ${round + 1} of ${rounds}`);
      costs[condition].push(await costOf(collector, kind, condition, limit * RATE_SHARE, seconds));
    });
  } finally {
    await collector.stop();
  }
  return figuresOf(kind, (availableParallelism() / limit) * 1e9, costs);
}

async function costOf(
  collector: Collector,
  { load }: StormKind,
  condition: Condition,
  rate: number,
  seconds: number,
): Promise<Cost> {
  const whodunit = await startWhodunit({
    ...exportByDefault(collector, 'http/protobuf'),
    ...(condition === 'without' ? { WHODUNIT_HISTORY: 'off' } : {}),
  });
  const { at, loader, service } = whodunit;
  const times = () => [cpuNs(loader.pid), cpuNs(service.pid), cpuNs(collector.pid)] as const;
  try {
    await settle();
    const accepted = await collector.accepted();
    const first = await loaderCounters(at.socket);
    const before = times();
    await loadOnAll([load, Math.round(rate), seconds, STORM_WORKERS]);
    const { deaths, lost } = await loaderCounters(at.socket);
    if (lost > first.lost) throw new Error(`${lost - first.lost} terminations were lost at ${Math.round(rate)}/s`);
    const arrived = async () => {
      await sleep(POLL_MS); // polling costs processor time that the others need
      return (await collector.accepted()) - accepted >= deaths - first.deaths || undefined;
    };
    await until('the last record of the storm', ARRIVED_WITHIN_MS, arrived, service.output);
    const [loaders, services, collectors] = times().map((ns, i) => (ns - (before[i] ?? 0)) / (deaths - first.deaths));
    return { service: services ?? 0, all: (loaders ?? 0) + (services ?? 0) + (collectors ?? 0) };
  } finally {
    await whodunit.stop();
  }
}

/** `dyingNs`: processor time of the processes for one termination. */
function figuresOf({ id, title }: StormKind, dyingNs: number, costs: Record<Condition, Cost[]>): Figure[] {
  const about = `each with a record: ${title}`;
  const per100_000 = (some: readonly Cost[]) => median(some.map(({ service }) => service)) / 1e4;
  const rates = (some: readonly Cost[]) => some.map(({ all }) => 1 / (dyingNs + all));
  return [
    figure(`storm.${id}.history.service`, `${about}: the service, with the history`, 's', per100_000(costs.with)),
    figure(`storm.${id}.history.off`, `${about}: the service, without the history`, 's', per100_000(costs.without)),
    figure(
      `storm.${id}.history.share`,
      `${about}: rate with / without the history, with no processor idle`,
      'ratio',
      estimateRatio(rates(costs.with), rates(costs.without)),
    ),
  ];
}
