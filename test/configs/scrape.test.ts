// SPDX-License-Identifier: Apache-2.0
// OTEL_METRICS_EXPORTER=otlp,prometheus: one real Prometheus scrapes the service, another gets the same metrics over OTLP. Names, labels and
// values must agree, so that dashboards and alerts work on both; and the shipped alerts fire on what was scraped.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type FleetHost, startHost } from '../../scripts/stack/fleet-host.ts';
import { freePorts, ROOT, until } from '../../scripts/stack/program.ts';
import { startBackend } from './backend.ts';
import { type Prometheus, startPrometheus } from './prometheus.ts';
import { shownQueries } from './shown.ts';

const DATA_WITHIN_MS = 120_000;
const SHIPPED = parse(readFileSync(join(ROOT, 'otel-config/prometheus/prometheus.yaml'), 'utf8')).otlp;
/** Of the target, so they differ: with OTLP, `job` is the service and `instance` its id on this host. */
const OF_THE_TARGET: readonly string[] = ['job', 'instance'];
/** A scraped series also has what identifies a service beside the promoted attributes. */
const ONLY_SCRAPED: readonly string[] = ['systemd_unit', 'service_version'];
const EVERYTHING = '{__name__=~"whodunit_.+"}';
const SILENT = 'WhodunitSilentEverywhere';
/** Alerts that need a second host, or the metrics of a collector. */
const ELSEWHERE = ['WhodunitSilent', 'CollectorDropsRecords'];

let scraped: Prometheus;
let received: Prometheus;
let host: FleetHost;
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  const later = <T extends { stop: () => unknown }>(started: T): T => {
    cleanUp.push(() => started.stop());
    return started;
  };
  const [port = 0] = await freePorts(1);
  const logs = later(await startBackend(null));
  received = later(await startPrometheus({ otlp: SHIPPED }));
  host = later(
    await startHost('web-1', {
      OTEL_METRICS_EXPORTER: 'otlp,prometheus',
      OTEL_EXPORTER_PROMETHEUS_HOST: '127.0.0.1',
      OTEL_EXPORTER_PROMETHEUS_PORT: String(port),
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${received.url}/api/v1/otlp/v1/metrics`,
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${logs.url}/v1/logs`,
    }),
  );
  scraped = later(await startPrometheus({ scrape: `127.0.0.1:${port}` }));
});

afterAll(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

const diagnostics = () => `${host.program.output()}${scraped.output()}${received.output()}`;

function terminate(golden: string): void {
  host.terminate({ golden, service: 'shop', declared: 'service.namespace=front', endedMs: Date.now() });
}

/** Every series: its name and labels, but for those that must differ, and its value. */
async function series(prometheus: Prometheus, query = EVERYTHING): Promise<string[]> {
  const found = await prometheus.query(query);
  const omitted = [...OF_THE_TARGET, ...ONLY_SCRAPED];
  return found
    .map(({ metric, value }) => {
      const labels = Object.entries(metric)
        .filter(([label]) => !omitted.includes(label))
        // Prometheus 3 writes 1.0 for a scraped 1, and leaves that of OTLP.
        .map(([label, text]) => [label, label === 'le' ? String(Number(text.replace('+Inf', 'Infinity'))) : text]);
      return JSON.stringify([labels.sort(), value]);
    })
    .sort();
}

describe('a Prometheus that scrapes the service', () => {
  it('has the same series with the same values as one that gets them over OTLP', async () => {
    for (const golden of ['death-exit-3', 'death-segfault', 'death-oom', 'death-segfault', 'death-segfault'])
      terminate(golden);
    // Its value is a time.
    const query = `${EVERYTHING} unless {__name__=~"whodunit_delivery_duration_seconds_sum|whodunit_queue_oldest_age_seconds"}`;
    await until(
      'the counters',
      DATA_WITHIN_MS,
      async () => (await scraped.query('sum(whodunit_process_terminations_total)'))[0]?.value === 5 || undefined,
      diagnostics,
    );
    const both = await until(
      'the same series',
      DATA_WITHIN_MS,
      async () => {
        const [ours, theirs] = [await series(scraped, query), await series(received, query)];
        return ours.length > 0 && ours.join('\n') === theirs.join('\n') ? ours : undefined;
      },
      diagnostics,
    );
    expect(both.join('\n')).toContain('whodunit_delivery_duration_seconds_bucket');
    const names = (prometheus: Prometheus) => prometheus.query(`count by (__name__) (${EVERYTHING})`);
    const namesOf = async (prometheus: Prometheus) =>
      (await names(prometheus)).map(({ metric }) => metric.__name__).sort();
    expect(await namesOf(scraped)).toEqual(await namesOf(received));
  });

  const alerts = shownQueries().filter(
    ({ language, at }) => language === 'promql' && /^\w+$/.test(at) && ![SILENT, ...ELSEWHERE].includes(at),
  );
  /** Removes the comparison at the end of an alert's condition: the left side must have data, whatever the threshold. */
  const compared = (expr: string) => expr.replace(/\s(?:>|>=)\s*[\d.]+$/, '');

  it.each(alerts)('has data for the condition of $at', async ({ expr }) => {
    const found = async () => {
      const samples = await scraped.query(compared(expr));
      if (samples.some(({ value }) => !Number.isNaN(value))) return samples;
      terminate('death-segfault'); // a rate needs at least two points
      await new Promise((resolve) => setTimeout(resolve, 600));
      return undefined;
    };
    expect(await until(`data of ${expr}`, DATA_WITHIN_MS, found, diagnostics)).not.toHaveLength(0);
  });

  it('fires the alerts, of the service and of the host', async () => {
    const firing = async () => {
      const names = new Set(await scraped.alerts());
      return ['CrashLoop', 'OutOfMemory', 'Crashed'].every((name) => names.has(name)) || undefined;
    };
    await until('CrashLoop, OutOfMemory and Crashed', DATA_WITHIN_MS, firing, diagnostics);
    expect(await scraped.alerts()).not.toContain('WhodunitLosesDeaths');
    const [sample] = await scraped.query('whodunit_process_terminations_total{whodunit_cause="oom_kill"}');
    expect(sample?.metric).toMatchObject({ service_name: 'shop', service_namespace: 'front', host_name: 'web-1' });
  });

  it('fires an alert if the service is gone', async () => {
    expect(await scraped.alerts()).not.toContain(SILENT);
    await host.program.stop();
    const fires = async () => (await scraped.alerts()).includes(SILENT) || undefined;
    await until(SILENT, DATA_WITHIN_MS, fires, diagnostics);
  });
});
