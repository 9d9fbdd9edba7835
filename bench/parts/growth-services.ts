// SPDX-License-Identifier: Apache-2.0
// Cost of a termination, and of an export of all counters, as the number of services with a termination grows. The real service sends to
// a real collector. The terminations are scripted, because no machine can run 5,000 services in a minute.
import { setTimeout as sleep } from 'node:timers/promises';
import { startCollector } from '../../scripts/stack/collector.ts';
import { exportTo } from '../../scripts/stack/whodunit.ts';
import { CONSTANT, LINEAR } from '../bars.ts';
import type { Growth } from '../figures.ts';
import { cpuNs } from '../program.ts';
import { startScriptedService } from '../scripted-service.ts';
import type { Point } from '../statistics.ts';
import type { Run } from './part.ts';

const SIZES = [1, 10, 100, 1_000, 5_000];
const SIZES_QUICK = [1, 1_000];
const DEATHS = 10_000;
/** The number of exports that are measured, and the interval between them. */
const EXPORTS = 4;
const INTERVAL_MS = 1_000;

export async function withServices({ quick, progress }: Run): Promise<readonly Growth[]> {
  const deaths: Point[] = [];
  const exports: Point[] = [];
  const collector = await startCollector({ keep: 'count' });
  try {
    const sizes = quick ? SIZES_QUICK : SIZES;
    for (const [index, size] of sizes.entries()) {
      progress(index / sizes.length, `${size} services`);
      const env = { ...exportTo(collector, 'http/protobuf'), OTEL_LOGS_EXPORTER: 'none' };
      deaths.push({ size, value: await usForDeath(size, { ...env, OTEL_METRIC_EXPORT_INTERVAL: '600000' }) });
      exports.push({ size, value: await msForExport(size, { ...env, OTEL_METRIC_EXPORT_INTERVAL: `${INTERVAL_MS}` }) });
    }
  } finally {
    await collector.stop();
  }
  const common = { of: 'services with a termination' };
  return [
    {
      ...common,
      id: 'growth.services.death',
      title: "the service's processor time for one termination",
      unit: 'µs',
      points: deaths,
      exponentMax: CONSTANT,
    },
    {
      ...common,
      id: 'growth.services.export',
      title: "the service's processor time for an export of all counters",
      unit: 'ms',
      points: exports,
      exponentMax: LINEAR,
    },
  ];
}

async function usForDeath(services: number, env: NodeJS.ProcessEnv): Promise<number> {
  const { pid, feed, stop } = await startScriptedService(env);
  try {
    // Warm-up: every service is known and the code is compiled.
    await feed(Math.max(services, DEATHS), nameOf(services));
    const before = cpuNs(pid);
    await feed(DEATHS, nameOf(services));
    return (cpuNs(pid) - before) / DEATHS / 1_000;
  } finally {
    await stop();
  }
}

async function msForExport(services: number, env: NodeJS.ProcessEnv): Promise<number> {
  const { pid, feed, stop } = await startScriptedService(env);
  try {
    await feed(services, nameOf(services));
    await sleep(2 * INTERVAL_MS); // a new series is exported with 0 first; measure only exports without new series
    const before = cpuNs(pid);
    await sleep(EXPORTS * INTERVAL_MS);
    return (cpuNs(pid) - before) / EXPORTS / 1e6;
  } finally {
    await stop();
  }
}

const nameOf =
  (services: number) =>
  (index: number): string =>
    `service-${index % services}`;
