// SPDX-License-Identifier: Apache-2.0
// The highest rate of terminations without loss if each of them gets a record (WHODUNIT_REPORT=all), with loader, service, collector and
// the terminating processes on the same machine. Measures first the rate of the processes alone, then the highest rate at which the kernel
// loses none and a collector accepts all.
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { until } from '../../scripts/stack/program.ts';
import { startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { STORM_SHARE_MIN } from '../bars.ts';
import { type Figure, figure, type Unit } from '../figures.ts';
import { cpuNs, loadOnAll, minimalServiceNs } from '../program.ts';
import { exportByDefault, loaderCounters, type Run } from './part.ts';
import { STORM_WORKERS, type StormKind } from './storm-kinds.ts';

/** The duration of each step in seconds; `trials`: the number of trials; `leastDeaths`: the terminations for the minimal service. */
const TIMES = { unwatched: 3, trials: 6, trial: 4, proof: 30, least: 5, leastDeaths: 40_000 };
const TIMES_QUICK = { unwatched: 2, trials: 2, trial: 2, proof: 3, least: 2, leastDeaths: 8_000 };
/** A failed proof is repeated at a rate lower by this factor. */
const SLOWER = 0.85;
const PROOFS = 6;
/** The minimum share of the requested rate that the load must reach: a load that falls behind fails the trial, as a loss does. */
const RATE_KEPT = 0.97;
/** All records must arrive within this share of the storm's duration after its last termination: a rate that only fills queues fails. */
const DRAIN_SHARE = 1 / 3;
/** Limit for the queues to drain after a rate that was too high, so that the next trial starts with empty queues. */
const EMPTY_WITHIN_MS = 120_000;
const POLL_MS = 50;
const PROTOCOL = 'http/protobuf';

interface Trial {
  readonly terminations: number;
  readonly perSecond: number;
  readonly lost: number;
  readonly arrived: boolean;
  readonly drainSeconds: number;
  readonly loaderCpuNs: number;
  readonly serviceCpuNs: number;
  readonly collectorCpuNs: number;
}

/** No rate passed the proof. */
const UNPROVEN: Trial = {
  terminations: Number.NaN,
  perSecond: Number.NaN,
  lost: Number.NaN,
  arrived: false,
  drainSeconds: Number.NaN,
  loaderCpuNs: Number.NaN,
  serviceCpuNs: Number.NaN,
  collectorCpuNs: Number.NaN,
};

export async function stormOfRecords({ id, title, load }: StormKind, { quick, progress }: Run): Promise<Figure[]> {
  const times = quick ? TIMES_QUICK : TIMES;
  progress(0, 'without whodunit');
  const before = await rateWithoutWhodunit(load, times.unwatched);
  const collector = await startCollector({ keep: 'count' });
  try {
    const proof = await highestRate(collector, load, before, times, progress);
    progress(0.9, 'minimal service');
    const least = await minimalServiceUnderLoad(collector, load, proof.perSecond, times);
    progress(0.95, 'without whodunit, again');
    // The mean of before and after, in case the speed of the machine changes.
    const unwatched = (before + (await rateWithoutWhodunit(load, times.unwatched))) / 2;
    return figuresOf(id, `each with a record: ${title}`, unwatched, proof, least, times.proof);
  } finally {
    await collector.stop();
  }
}

/** Terminations per second. */
async function rateWithoutWhodunit(load: string, seconds: number): Promise<number> {
  const { count, wallNs } = await loadOnAll([load, 0, seconds, STORM_WORKERS]);
  return (count / wallNs) * 1e9;
}

/** Searches for the highest rate below `limit` in short trials, and proves it in a long one. UNPROVEN if no rate passes the proof. */
async function highestRate(
  collector: Collector,
  load: string,
  limit: number,
  times: typeof TIMES,
  progress: Run['progress'],
): Promise<Trial> {
  const whodunit = await startWhodunit(exportByDefault(collector, PROTOCOL));
  try {
    const attempt = (rate: number, during: number) => tryRate(collector, whodunit, load, rate, during);
    const steps = times.trials + PROOFS;
    let good = 0;
    let bad = limit;
    for (let trial = 0; trial < times.trials; trial += 1) {
      const rate = (good + bad) / 2;
      progress((trial + 1) / steps, `${Math.round(rate)}/s`);
      if (isKept(await attempt(rate, times.trial), rate)) good = rate;
      else bad = rate;
    }
    // If every trial failed, a lower rate may still pass.
    for (let proof = 0, rate = good || bad * SLOWER; proof < PROOFS; proof += 1, rate *= SLOWER) {
      progress((times.trials + 1) / steps, `${Math.round(rate)}/s for ${times.proof} s`);
      const result = await attempt(rate, times.proof);
      if (isKept(result, rate)) return result;
    }
    return UNPROVEN;
  } finally {
    await whodunit.stop();
  }
}

/** Processor time of the minimal service for one termination, ns, while processes terminate at the same rate without whodunit. */
async function minimalServiceUnderLoad(
  collector: Collector,
  load: string,
  rate: number,
  times: typeof TIMES,
): Promise<number> {
  if (Number.isNaN(rate)) return Number.NaN;
  const [least] = await Promise.all([
    minimalServiceNs(times.leastDeaths, exportByDefault(collector, PROTOCOL)),
    loadOnAll([load, Math.round(rate), times.least, STORM_WORKERS]),
  ]);
  return least;
}

function isKept({ lost, arrived, perSecond }: Trial, rate: number): boolean {
  return lost === 0 && arrived && perSecond >= rate * RATE_KEPT;
}

async function tryRate(
  collector: Collector,
  { at, loader, service }: Whodunit,
  load: string,
  rate: number,
  seconds: number,
): Promise<Trial> {
  // Compares totals since both started. Other processes may terminate as well, so the target is the kernel's count, not the load's.
  const allArrived = async () => {
    await sleep(POLL_MS); // polling costs processor time that loader and service need
    return (await collector.accepted()) >= (await loaderCounters(at.socket)).deaths || undefined;
  };
  const before = await loaderCounters(at.socket);
  const cpuBefore = { loader: cpuNs(loader.pid), service: cpuNs(service.pid), collector: cpuNs(collector.pid) };
  const { count, wallNs } = await loadOnAll([load, Math.round(rate), seconds, STORM_WORKERS]);
  const ended = performance.now();
  const { deaths, lost } = await loaderCounters(at.socket);
  await until('the last record of a storm', EMPTY_WITHIN_MS, allArrived, service.output);
  const drainSeconds = (performance.now() - ended) / 1_000;
  const counted = deaths - before.deaths + (lost - before.lost);
  if (counted < count) throw new Error(`${count} processes terminated, but the kernel counted ${counted}`);
  return {
    terminations: count,
    perSecond: (count / wallNs) * 1e9,
    lost: lost - before.lost,
    arrived: drainSeconds <= seconds * DRAIN_SHARE,
    drainSeconds,
    loaderCpuNs: cpuNs(loader.pid) - cpuBefore.loader,
    serviceCpuNs: cpuNs(service.pid) - cpuBefore.service,
    collectorCpuNs: cpuNs(collector.pid) - cpuBefore.collector,
  };
}

function figuresOf(id: string, title: string, limit: number, proof: Trial, leastNs: number, seconds: number): Figure[] {
  const per100_000 = (ns: number) => (ns / 1e9 / proof.terminations) * 100_000;
  const loaders = per100_000(proof.loaderCpuNs);
  const services = per100_000(proof.serviceCpuNs);
  const collectors = per100_000(proof.collectorCpuNs);
  const least = (leastNs / 1e9) * 100_000;
  // Assumes that without whodunit the terminating processes and their parents use all processors.
  const processes = (availableParallelism() / limit) * 100_000;
  const ceiling = (whodunit: number) => processes / (processes + whodunit + collectors);
  const named = (name: string, what: string, unit: Unit, value: number, note?: string) =>
    figure(`storm.${id}.${name}`, `${title}: ${what}`, unit, value, note);
  const drain = proof.arrived
    ? `the last one at most ${proof.drainSeconds.toFixed(1)} s after its termination`
    : 'at every rate that was tried, the load fell behind or records were missing';
  return [
    named('unwatched', 'highest rate without whodunit', '/s', limit),
    named('rate', `highest rate without loss, for ${seconds} s`, '/s', proof.perSecond, drain),
    named('share', 'rate with / without', 'ratio', proof.perSecond / limit),
    named('ceiling', 'the same, with no processor idle', 'ratio', ceiling(loaders + services)),
    named('least', 'the same, also with a minimal service', 'ratio', ceiling(loaders + least)),
    named('cpu', 'processor time for 100,000 terminations, loader and service', 's', loaders + services),
    named(
      'cpu_left',
      `processor time left for them at a share of ${STORM_SHARE_MIN}`,
      's',
      processes / STORM_SHARE_MIN - processes - collectors,
    ),
    named('cpu_loader', 'of this, the loader', 's', loaders),
    named('cpu_service', 'of this, the service', 's', services),
    named('cpu_least', 'a minimal service, which only parses, writes, sends and settles', 's', least),
    named('cpu_collector', 'the collector', 's', collectors),
    named('cpu_dying', 'the terminating processes, without whodunit', 's', processes),
  ];
}
