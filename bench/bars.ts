// SPDX-License-Identifier: Apache-2.0
// Pure: the bars of the project, and whether a figure meets its bar. The result is reported, never enforced: a busy or slow machine is
// not an error in the code.
import type { Figure, Growth } from './figures.ts';
import { growthExponent } from './statistics.ts';

export type Judgement = 'met' | 'not met' | 'not known';

/** In the figure's unit. `limit`: id of the figure that has the best possible value on this machine, from the same run. */
export type Bar = ({ readonly max: number } | { readonly min: number }) & { readonly limit?: string };

/** Share of the rate at which processes terminate without whodunit, if each termination gets a record. */
export const STORM_SHARE_MIN = 0.6;

/** The exponent of a cost that must not depend on a size: cache effects double it over three orders of magnitude. */
export const CONSTANT = 0.1;
/** The exponent of a cost that is proportional to a size, with a tolerance for measurement error. */
export const LINEAR = 1.1;

/**
 * By the figure's id: to add a bar, add a line. Costs in the kernel are compared with another cost of the same run, as the same build takes
 * two to three times as long on another machine (docs/decisions/0074).
 */
export const BARS: Readonly<Record<string, Bar>> = {
  'kernel.exit_normal.ratio': { max: 2 },
  'kernel.signal_sigchld.ratio': { max: 2 },
  'kernel.signal_sigurg.ratio': { max: 2 },
  'kernel.signal_remembered.ratio': { max: 25 },
  'kernel.signal_remembered_again.ratio': { max: 25 },
  'commits.before.death_with_arguments': { max: 1.1 },
  'commits.release.death_with_arguments': { max: 1.3 },
  'commits.before.pss': { max: 1.4 },
  'crashes.kernel.ratio': { max: 5 },
  'crashes.handled.ratio': { max: 6 },
  'crashes.exit_normal': { max: 1.05 },
  'crashes.death_with_arguments': { max: 1.05 },
  'crashes.latency.p50': { max: 5 },
  'crashes.latency.p99': { max: 10 },
  'workload.exit': { max: 1.02, limit: 'workload.exit.floor' },
  'workload.exec': { max: 1.02, limit: 'workload.exec.floor' },
  'workload.threads': { max: 1.02, limit: 'workload.threads.floor' },
  'workload.signals': { max: 1.02, limit: 'workload.signals.floor' },
  'workload.preempted': { max: 1.02, limit: 'workload.preempted.floor' },
  'builds.npm': { max: 1.01 },
  'builds.go': { max: 1.01 },
  'builds.configure': { max: 1.01 },
  'latency.grpc.100.p50': { max: 15 },
  'latency.grpc.100.p99': { max: 60 },
  'latency.http.100.p50': { max: 15 },
  'latency.http.100.p99': { max: 60 },
  'storm.default.exit.share': { min: 0.95 },
  'storm.default.exit.lost': { max: 0 },
  'storm.default.exit.miscounted': { max: 0 },
  'storm.default.exec.share': { min: 0.95 },
  'storm.default.exec.lost': { max: 0 },
  'storm.default.exec.miscounted': { max: 0 },
  'storm.exit.share': { min: STORM_SHARE_MIN, limit: 'storm.exit.ceiling' },
  'storm.exec.share': { min: STORM_SHARE_MIN, limit: 'storm.exec.ceiling' },
  'storm.exit.cpu': { max: 15 },
  'storm.exec.cpu': { max: 15 },
  'storm.exit.history.share': { min: 0.95 },
  'storm.exec.history.share': { min: 0.95 },
  'idle.cpu': { max: 0.1 },
  'idle.pss_loader': { max: 17 },
  'idle.alone_service': { max: 75 },
  'idle.start_to_ready': { max: 1 },
  'idle.loader_start_cpu': { max: 1 },
  'peers.exit_share': { max: 1 / 40 },
};

/** Of parts that a complete run leaves out. The bars of `starts` are for --against b068f03, the last commit before the service was a bundle. */
const OTHER_BARS: typeof BARS = {
  'services.before.printed.p99': { max: 1.2 },
  'services.before.queued.p99': { max: 1.2 },
  'starts.before.ready': { max: 0.55 },
  'starts.before.memory': { max: 0.75 },
  'scale.outages.lost': { max: 0 },
  'observed.start': { max: 5 },
};

export function barWith(id: string): Bar | undefined {
  return BARS[id] ?? OTHER_BARS[id];
}

/** Returns null if the figure has no bar. */
export function judge(figure: Pick<Figure, 'id' | 'value'>): Judgement | null {
  const bar = barWith(figure.id);
  if (bar === undefined) return null;
  if (figure.value === null || !Number.isFinite(figure.value)) return 'not known';
  return ('max' in bar ? figure.value <= bar.max : figure.value >= bar.min) ? 'met' : 'not met';
}

export function judgeGrowth(growth: Growth): Judgement {
  return growthExponent(growth.points) <= growth.exponentMax ? 'met' : 'not met';
}
