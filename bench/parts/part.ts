// SPDX-License-Identifier: Apache-2.0
// The input and the result of a part of the benchmark, and the whodunit that most parts run.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Collector } from '../../scripts/stack/collector.ts';
import { until } from '../../scripts/stack/program.ts';
import { exportTo, loaderStatus, type Protocol, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import type { Figure, Growth } from '../figures.ts';

/** The loader of another commit. */
export interface OtherLoader {
  readonly id: 'before' | 'release';
  /** How tables name it. */
  readonly name: string;
  /** null: it could not be built. */
  readonly path: string | null;
}

/** The service of another commit. */
export interface OtherService {
  /** How tables name it. */
  readonly name: string;
  /** Of its main file. */
  readonly path: string;
}

export interface Run {
  readonly otherLoaders: readonly OtherLoader[];
  /** null: none is compared. */
  readonly otherService: OtherService | null;
  /** Fewer and shorter rounds. */
  readonly quick: boolean;
  /** `fraction` of this part is done; `text` is the current step. */
  readonly progress: (fraction: number, text: string) => void;
}

export interface Measured {
  readonly figures: readonly Figure[];
  readonly growth?: readonly Growth[];
}

export type Part = (run: Run) => Promise<Measured>;

/** Wait before a measurement, so that programs can finish starting. */
const SETTLE_MS = 300;
const DRAINED_WITHIN_MS = 30_000;
const POLL_MS = 20;

export const settle = (): Promise<void> => sleep(SETTLE_MS);

/** Runs each condition once in a round, in an order that changes with each round (A B B A …), so that drift affects all of them. */
export async function inTurns<Condition>(
  conditions: readonly Condition[],
  rounds: number,
  run: (condition: Condition, round: number) => Promise<unknown>,
): Promise<void> {
  for (let round = 0; round < rounds; round += 1)
    for (const condition of round % 2 === 0 ? conditions : conditions.toReversed()) await run(condition, round);
}

/** Starts a whodunit that reads and classifies everything and sends nothing: for costs in the kernel and in other programs. */
export function startQuietWhodunit(
  env: NodeJS.ProcessEnv = {},
  loader?: string,
  loaderEnv: NodeJS.ProcessEnv = {},
): Promise<Whodunit> {
  return startWhodunit({ OTEL_LOGS_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none', ...env }, loaderEnv, loader);
}

/** Returns the environment to export to a collector at the default metrics interval; exportTo() sets a shorter one for tests. */
export function exportByDefault(collector: Collector, protocol: Protocol): NodeJS.ProcessEnv {
  return {
    ...exportTo(collector, protocol),
    OTEL_METRIC_EXPORT_INTERVAL: '60000',
    OTEL_METRIC_EXPORT_TIMEOUT: '30000',
  };
}

export interface LoaderCounters {
  readonly deaths: number;
  readonly lost: number;
  /** The end of the acknowledged records in the ring, and of all records. */
  readonly ackedTo: number;
  readonly writtenTo: number;
}

export async function loaderCounters(socket: string): Promise<LoaderCounters> {
  const status: Record<string, unknown> = { ...(await loaderStatus(socket)) };
  const lost = Object.values(status.lost as Record<string, string>).reduce((sum, one) => sum + Number(one), 0);
  const ackedTo = Number(status.acked_seq);
  return { deaths: Number(status.deaths), lost, ackedTo, writtenTo: ackedTo + Number(status.ring_used_bytes) };
}

/** Waits until the service has acknowledged everything up to now. Returns the counters at that time. */
export async function drained(socket: string): Promise<LoaderCounters> {
  const { writtenTo } = await loaderCounters(socket);
  return await until('the acknowledgement of every record', DRAINED_WITHIN_MS, async () => {
    const counters = await loaderCounters(socket);
    if (counters.ackedTo >= writtenTo) return counters;
    await sleep(POLL_MS);
    return undefined;
  });
}

/** About the arguments and environment of a Java service in a container. */
export const LONG_ARGS = Array.from(
  { length: 40 },
  (_, index) => `-Dcom.example.checkout.setting.${index}=${'x'.repeat(40)}`,
);
export const LONG_ENV: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`CHECKOUT_SETTING_${index}`, 'y'.repeat(60)])),
  OTEL_SERVICE_NAME: 'checkout',
  OTEL_RESOURCE_ATTRIBUTES: 'service.version=1.2.3,deployment.environment.name=production',
};
