// SPDX-License-Identifier: Apache-2.0
// Real terminations are counted in a real Prometheus, through collector.yaml with backends/self-hosted.yaml. Every PromQL query of
// dashboards and alerts must return data, and the alerts must fire.
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitedCgroup } from '../../scripts/stack/memory-cgroup.ts';
import { MORTAL, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { type Shipped, startShipped } from '../../scripts/stack/shipped.ts';
import { exportTo, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { type Prometheus, startPrometheus } from './prometheus.ts';
import { PROMETHEUS_ALERTS, shownQueries } from './shown.ts';

const DATA_WITHIN_MS = 90_000;
/** Longer than the export interval of the counters, half a second. */
const BETWEEN_CRASHES_MS = 600;
const SILENT_WITHIN_MS = 60_000;
const MEMORY_LIMIT_BYTES = 32 * 1024 * 1024;
/** This alert returns data when whodunit stops sending, which is tested last. */
const SILENT = 'WhodunitSilentEverywhere';
/** Alerts that need a second host, or the metrics of a collector: promtool tests them, and loki.test.ts the names of the latter. */
const ELSEWHERE = ['WhodunitSilent', 'CollectorDropsRecords'];

let prometheus: Prometheus;
let shipped: Shipped;
let whodunit: Whodunit;
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  // Replaces Loki and Tempo, which cannot run here: accepts everything.
  const others = createServer((request, response) => {
    request.resume().on('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => others.once('listening', resolve));
  cleanUp.push(() => others.close());
  const { port } = others.address() as AddressInfo;
  prometheus = await startPrometheus();
  cleanUp.push(() => prometheus.stop());
  shipped = await startShipped(['collector', 'backends/self-hosted'], {
    PROMETHEUS: prometheus.url,
    LOKI: `http://127.0.0.1:${port}`,
    TEMPO: `http://127.0.0.1:${port}`,
  });
  cleanUp.push(() => shipped.stop());
  whodunit = await startWhodunit(exportTo(shipped, 'http/protobuf'));
  cleanUp.push(() => whodunit.stop());
});

afterAll(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

const diagnostics = () => `${shipped.program.output()}${whodunit.service.output()}${prometheus.output()}`;
const SHOP = { env: { OTEL_SERVICE_NAME: 'shop' } };

async function crash(): Promise<void> {
  expect(await startProgram(MORTAL, ['segfault'], SHOP).ended).toMatchObject({ signal: 'SIGSEGV' });
}

async function killVictim(): Promise<void> {
  const victim = startProgram(MORTAL, ['wait'], SHOP);
  await until('the victim', DATA_WITHIN_MS, () => /ready/.test(victim.stdout()) || undefined, victim.output);
  victim.child.kill('SIGKILL');
  await victim.ended;
}

async function runOutOfMemory(): Promise<void> {
  const cgroup = limitedCgroup(`whodunit-test-configs-${process.pid}`, MEMORY_LIMIT_BYTES);
  try {
    const victim = startProgram(MORTAL, ['in-cgroup', cgroup.directory, 'eat-memory'], SHOP);
    expect(await victim.ended).toMatchObject({ signal: 'SIGKILL' });
  } finally {
    await cgroup.remove();
  }
}

const increase = (cause: string) =>
  `increase(whodunit_process_terminations_total{service_name="shop",whodunit_cause="${cause}"}[10m]) > 0`;
/** Removes the comparison at the end of an alert's condition: the left side must have data, whatever the threshold. */
const compared = (expr: string) => expr.replace(/\s(?:>|>=)\s*[\d.]+$/, '');
const queries = shownQueries().filter(
  ({ language, at }) => language === 'promql' && ![SILENT, ...ELSEWHERE].includes(at),
);

describe('PromQL', () => {
  it('three causes are counted, with service and host as labels', async () => {
    await runOutOfMemory();
    await killVictim();
    for (const _ of [1, 2, 3, 4]) await crash();
    for (const cause of ['fault', 'killed', 'oom_kill']) {
      const [sample] = await until(
        `an increase of ${cause}`,
        DATA_WITHIN_MS,
        async () => {
          const found = await prometheus.query(increase(cause));
          return found.length > 0 ? found : undefined;
        },
        diagnostics,
      );
      expect(sample?.metric).toMatchObject({
        service_name: 'shop',
        host_name: expect.stringMatching(/./),
        instance: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5/),
      });
    }
  });

  it.each(queries)('$at', async ({ expr }) => {
    const samples = await until(
      `data of ${expr}`,
      DATA_WITHIN_MS,
      async () => {
        const found = await prometheus.query(compared(expr));
        if (found.some(({ value }) => !Number.isNaN(value))) return found;
        await crash(); // a rate needs at least two points
        await new Promise((resolve) => setTimeout(resolve, BETWEEN_CRASHES_MS));
        return undefined;
      },
      diagnostics,
    );
    expect(samples.length).toBeGreaterThan(0);
  });

  it('the alerts for terminations fire', async () => {
    await until(
      'CrashLoop, OutOfMemory and Crashed',
      DATA_WITHIN_MS,
      async () => {
        const names = new Set(await prometheus.alerts());
        return ['CrashLoop', 'OutOfMemory', 'Crashed'].every((name) => names.has(name)) || undefined;
      },
      diagnostics,
    );
    expect(await prometheus.alerts()).not.toContain('WhodunitLosesDeaths');
  });

  it('an alert fires if whodunit stops sending', async () => {
    expect(await prometheus.alerts()).not.toContain(SILENT);
    await whodunit.stop();
    await until(
      SILENT,
      SILENT_WITHIN_MS,
      async () => (await prometheus.alerts()).includes(SILENT) || undefined,
      prometheus.output,
    );
  });

  it('an invalid query is reported', async () => {
    await expect(prometheus.query('sum by (service_name (up)')).rejects.toThrow(/parse error/);
  });
});

describe('promtool', () => {
  it.each([
    ['check', PROMETHEUS_ALERTS],
    ['test', join(ROOT, 'test/configs/alerts.test.yaml')],
  ])('%s rules', (command, file) => {
    expect(execFileSync('promtool', [command, 'rules', file], { encoding: 'utf8' })).toContain('SUCCESS');
  });
});
