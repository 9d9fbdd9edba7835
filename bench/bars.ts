// SPDX-License-Identifier: Apache-2.0
// Pure: the bars of the project, and whether a figure meets its bar. The result is reported, never enforced: a busy or slow machine is
// not an error in the code.
import type { Figure, Growth } from './figures.ts';
import { growthExponent } from './statistics.ts';

export type Judgement = 'met' | 'not met' | 'not known';

/** In the figure's unit. */
export type Bar = { readonly max: number } | { readonly min: number };

const WORKLOAD: Bar = { max: 1.02 };
const LATENCY_P50: Bar = { max: 15 };
const LATENCY_P99: Bar = { max: 60 };
const IGNORED_SIGNAL: Bar = { max: 100 };
const REMEMBERED_SIGNAL: Bar = { max: 1_500 };
/** Share of the rate at which processes terminate without whodunit. */
export const STORM_SHARE_MIN = 0.6;
const STORM: Bar = { min: STORM_SHARE_MIN };
const STORM_CPU: Bar = { max: 15 };

/** The exponent of a cost that must not depend on a size: cache effects double it over three orders of magnitude. */
export const CONSTANT = 0.1;
/** The exponent of a cost that is proportional to a size, with a tolerance for measurement error. */
export const LINEAR = 1.1;

/** By the figure's id. */
export const BARS: Readonly<Record<string, Bar>> = {
  'kernel.exit_normal': { max: 250 },
  'kernel.signal_sigchld': IGNORED_SIGNAL,
  'kernel.signal_sigurg': IGNORED_SIGNAL,
  'kernel.signal_remembered': REMEMBERED_SIGNAL,
  'kernel.signal_remembered_again': REMEMBERED_SIGNAL,
  'kernel.death_with_arguments': { max: 12_000 },
  'workload.exit': WORKLOAD,
  'workload.exec': WORKLOAD,
  'workload.threads': WORKLOAD,
  'workload.signals': WORKLOAD,
  'workload.preempted': WORKLOAD,
  'latency.grpc.100.p50': LATENCY_P50,
  'latency.grpc.100.p99': LATENCY_P99,
  'latency.http.100.p50': LATENCY_P50,
  'latency.http.100.p99': LATENCY_P99,
  'storm.exit.share': STORM,
  'storm.exec.share': STORM,
  'storm.exit.cpu': STORM_CPU,
  'storm.exec.cpu': STORM_CPU,
  'idle.cpu': { max: 0.1 },
  'idle.pss_loader': { max: 15 },
  'idle.pss_service': { max: 75 },
  'idle.start_to_ready': { max: 1 },
  'peers.exit_share': { max: 1 / 40 },
};

/** Figure id → id of the figure that has the best possible value on this machine, from the same run. */
export const LIMITS: Readonly<Record<string, string>> = {
  'kernel.exit_normal': 'kernel.floor_exit',
  'kernel.signal_sigchld': 'kernel.floor_signal',
  'kernel.signal_sigurg': 'kernel.floor_signal',
  'workload.exit': 'workload.exit.floor',
  'workload.exec': 'workload.exec.floor',
  'workload.threads': 'workload.threads.floor',
  'workload.signals': 'workload.signals.floor',
  'workload.preempted': 'workload.preempted.floor',
  'storm.exit.share': 'storm.exit.ceiling',
  'storm.exec.share': 'storm.exec.ceiling',
};

/** Returns null if the figure has no bar. */
export function judge(figure: Pick<Figure, 'id' | 'value'>): Judgement | null {
  const bar = BARS[figure.id];
  if (bar === undefined) return null;
  if (figure.value === null || !Number.isFinite(figure.value)) return 'not known';
  return ('max' in bar ? figure.value <= bar.max : figure.value >= bar.min) ? 'met' : 'not met';
}

export function judgeGrowth(growth: Growth): Judgement {
  return growthExponent(growth.points) <= growth.exponentMax ? 'met' : 'not met';
}
