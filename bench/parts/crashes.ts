// SPDX-License-Identifier: Apache-2.0
// What the stack of a crash costs: in the kernel, and until its record is at the collector. Each is compared with the same crash without a stack
// (WHODUNIT_STACK=0). Each crash is at another place: an equal one would not be unwound. And a fault that the program handles, as virtual
// machines do, with an empty program at the same hooks. And what does not crash, with stacks and without: it is to cost the same.
import { startCollector } from '../../scripts/stack/collector.ts';
import { startWhodunit } from '../../scripts/stack/whodunit.ts';
import { costOf, DELIVER_HOOK, EVENTS, EXIT_HOOK, SIGNAL_HOOK } from '../events.ts';
import { type Figure, figure } from '../figures.ts';
import {
  atHook,
  between,
  emptyAt,
  load,
  type ProbeCost,
  type Snapshot,
  startAskedCrashes,
  startProbeCost,
} from '../program.ts';
import { estimateRatio, median, quantile } from '../statistics.ts';
import { latenciesOf } from './latency.ts';
import { drained, exportByDefault, inTurns, type Part, type Run, settle, startQuietWhodunit } from './part.ts';

const PLACES = 4096;
/** What does not crash differs by a few per cent from start to start, so that it needs more rounds than what does. */
const ROUNDS = 12;
const CRASH_ROUNDS = 4;
const ROUNDS_QUICK = 1;
const CRASHES = 100;
const ATTEMPTS_MAX = 10 * CRASHES;
const FAULTS = 50_000;
const PER_SECOND = 25;
const ARRIVALS = 400;
const ARRIVALS_QUICK = 100;
const WARM_UP = ['crash', PER_SECOND, 2 * PER_SECOND, PLACES];

const NO_CRASHES = ['exit_normal', 'signal_sigchld', 'signal_handled', 'death_small', 'death_with_arguments'];

const WITH = { stack: true, env: {} };
const WITHOUT = { stack: false, env: { WHODUNIT_STACK: '0' } };
type Condition = typeof WITH | typeof WITHOUT;
type Samples = { readonly with: number[]; readonly without: number[] };
const noSamples = (): Samples => ({ with: [], without: [] });
const samplesOf = (samples: Samples, { stack }: Condition): number[] => (stack ? samples.with : samples.without);

export const crashes: Part = async (run) => {
  const cost = startProbeCost('floor');
  const inKernel = noSamples();
  const handled: { ns: number; emptyNs: number }[] = [];
  const others = EVENTS.filter(({ id }) => NO_CRASHES.includes(id)).map((event) => ({ event, samples: noSamples() }));
  try {
    await inTurns([WITH, WITHOUT], run.quick ? ROUNDS_QUICK : ROUNDS, async (condition, round) => {
      run.progress((round / ROUNDS) * 0.5, `in the kernel, ${condition.stack ? 'with' : 'without'} a stack`);
      const whodunit = await startQuietWhodunit({}, undefined, condition.env);
      try {
        await settle();
        if (round < CRASH_ROUNDS) {
          samplesOf(inKernel, condition).push(...(await kernelCosts(whodunit.loader.pid, cost)));
          await drained(whodunit.at.socket);
          if (condition.stack) handled.push(await handledFault(whodunit.loader.pid, cost));
        }
        for (const { event, samples } of others) {
          samplesOf(samples, condition).push((await costOf(event, whodunit.loader.pid, cost)).ns);
          await drained(whodunit.at.socket);
        }
      } finally {
        await whodunit.stop();
      }
    });
  } finally {
    await cost.stop();
  }
  const rest = others.map(({ event: { id, title }, samples: { with: own, without } }) =>
    figure(`crashes.${id}`, `${title}: with stacks of crashes / without`, 'ratio', estimateRatio(own, without)),
  );
  return { figures: [...kernelFigures(inKernel), ...handledFigures(handled), ...rest, ...(await arrivals(run))] };
};

/** The cost of single crashes, ns: at the delivery of the signal and at the exit. */
async function kernelCosts(loaderPid: number, cost: ProbeCost): Promise<number[]> {
  const load = startAskedCrashes(PLACES);
  const costs: number[] = [];
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX && costs.length < CRASHES; attempt += 1) {
      const before = await cost.snapshot([loaderPid]);
      await load.crash();
      const after = await cost.snapshot([loaderPid]);
      const exit = between(before, after, atHook(EXIT_HOOK));
      const deliver = between(before, after, atHook(DELIVER_HOOK));
      // Else another process exited, or got a signal, in the meantime.
      if (exit.runs === 1 && deliver.runs === 1) costs.push(exit.ns + deliver.ns);
    }
  } finally {
    await load.stop();
  }
  if (costs.length < CRASHES)
    throw new Error(`only ${costs.length} of ${ATTEMPTS_MAX} crashes could be measured alone`);
  return costs;
}

async function handledFault(loaderPid: number, cost: ProbeCost): Promise<{ ns: number; emptyNs: number }> {
  const pids = [loaderPid, cost.pid];
  const before = await cost.snapshot(pids);
  await load(['fault', FAULTS]);
  const after = await cost.snapshot(pids);
  const of = (chosen: typeof atHook) =>
    perRun(before, after, chosen(SIGNAL_HOOK)) + perRun(before, after, chosen(DELIVER_HOOK));
  return { ns: of(atHook), emptyNs: of(emptyAt) };
}

function perRun(before: Snapshot, after: Snapshot, chosen: ReturnType<typeof atHook>): number {
  const { runs, ns } = between(before, after, chosen);
  if (runs < FAULTS) throw new Error(`${FAULTS} faults were handled, but the program ran ${runs} times`);
  return ns / runs;
}

function kernelFigures({ with: with_, without }: Samples): Figure[] {
  const p99 = `p99: ${quantile(with_, 0.99).toFixed(0)} ns, without a stack ${quantile(without, 0.99).toFixed(0)} ns`;
  return [
    figure('crashes.kernel.with', 'crash with its stack: median in the kernel', 'ns', median(with_), p99),
    figure('crashes.kernel.without', 'the same crash without a stack: median', 'ns', median(without)),
    figure('crashes.kernel.ratio', 'crash with its stack / without', 'ratio', median(with_) / median(without)),
  ];
}

function handledFigures(handled: readonly { ns: number; emptyNs: number }[]): Figure[] {
  const [own, empty] = [handled.map(({ ns }) => ns), handled.map(({ emptyNs }) => emptyNs)];
  return [
    figure('crashes.handled', 'handled fault: generation and delivery of its signal', 'ns', median(own)),
    figure('crashes.handled.ratio', 'handled fault / empty programs', 'ratio', estimateRatio(own, empty)),
  ];
}

/** From a crash to its record in the collector's file. */
async function arrivals({ quick, progress }: Run): Promise<Figure[]> {
  const latencies = noSamples();
  const args = ['crash', PER_SECOND, quick ? ARRIVALS_QUICK : ARRIVALS, PLACES];
  for (const condition of [WITH, WITHOUT]) {
    progress(condition.stack ? 0.5 : 0.75, `to the collector, ${condition.stack ? 'with' : 'without'} a stack`);
    const collector = await startCollector({ keep: 'at once' });
    try {
      const whodunit = await startWhodunit(exportByDefault(collector, 'grpc'), condition.env);
      try {
        await settle();
        await load(WARM_UP);
        samplesOf(latencies, condition).push(...(await latenciesOf(collector.logsFilePath, whodunit, args)));
      } finally {
        await whodunit.stop();
      }
    } finally {
      await collector.stop();
    }
  }
  return [0.5, 0.99].map((fraction) => {
    const [own, other] = [quantile(latencies.with, fraction), quantile(latencies.without, fraction)];
    const p = `p${fraction * 100}`;
    const title = `from the crash to the collector, with its stack / without: ${p}`;
    return figure(`crashes.latency.${p}`, title, 'ratio', own / other, `${own.toFixed(1)} / ${other.toFixed(1)} ms`);
  });
}
