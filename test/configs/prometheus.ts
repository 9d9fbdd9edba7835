// SPDX-License-Identifier: Apache-2.0
// A real Prometheus with the shipped alerts: Debian's, which accepts remote write; Prometheus 3, which accepts OTLP, or scrapes; or one with
// the samples of a test.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers } from '../../scripts/stack/collector.ts';
import { freePorts, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { PROMETHEUS_ALERTS } from './shown.ts';

const READY_WITHIN_MS = 60_000;
/** A series without new samples disappears after this time. The default is five minutes. */
const SHORT_LOOKBACK = '15s';

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Seconds since 1970, and the value. */
export type Point = readonly [time: number, value: number];

export interface Prometheus {
  readonly url: string;
  /** Evaluates an instant query. Throws with the error of Prometheus if the query is invalid. */
  readonly query: (expr: string) => Promise<Sample[]>;
  /** Evaluates a query every `stepSeconds`, as Grafana draws it, and returns the points of each series. */
  readonly range: (expr: string, start: number, end: number, stepSeconds: number) => Promise<(readonly Point[])[]>;
  /** Names of the firing and pending alerts. */
  readonly alerts: () => Promise<string[]>;
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

export interface PrometheusOptions {
  /** Samples in OpenMetrics' text format, with which it starts. Series then disappear after the default time. */
  readonly openMetrics?: string;
  /** Prometheus 3, which accepts OTLP, with these settings of `otlp`. undefined: Debian's, which accepts remote write. */
  readonly otlp?: object;
  /** Prometheus 3, which asks this `host:port` for its metrics every half a second. */
  readonly scrape?: string;
}

export async function startPrometheus(options: PrometheusOptions = {}): Promise<Prometheus> {
  const { openMetrics, otlp, scrape } = options;
  const binary = otlp === undefined && scrape === undefined ? 'prometheus' : process.env.WHODUNIT_TEST_PROMETHEUS;
  if (binary === undefined) throw new Error('WHODUNIT_TEST_PROMETHEUS is not set: run npm run test:configs');
  const directory = temporaryDirectory();
  const [port = 0] = await freePorts(1);
  const config = join(directory.path, 'prometheus.json'); // JSON is YAML
  writeFileSync(config, JSON.stringify(settings(options)));
  const data = join(directory.path, 'data');
  if (openMetrics !== undefined) {
    const samples = join(directory.path, 'samples');
    writeFileSync(samples, openMetrics);
    execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', samples, data], { stdio: 'pipe' });
  }
  const program = startProgram(binary, [
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}`,
    `--web.listen-address=127.0.0.1:${port}`,
    otlp === undefined ? '--web.enable-remote-write-receiver' : '--web.enable-otlp-receiver',
    ...(openMetrics === undefined ? [`--query.lookback-delta=${SHORT_LOOKBACK}`] : []),
  ]);
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await program.stop();
    directory.remove();
  };
  try {
    await until('Prometheus', READY_WITHIN_MS, () => answers(`${url}/-/ready`), program.output);
  } catch (error) {
    await stop();
    throw error;
  }
  const ask = async (path: string, body?: URLSearchParams) => {
    const response = await fetch(`${url}${path}`, body === undefined ? {} : { method: 'POST', body });
    const { status, data, error } = (await response.json()) as Answer;
    if (status !== 'success') throw new Error(`Prometheus: ${error}`);
    return data;
  };
  return {
    url,
    query: async (expr) => {
      const { result = [] } = await ask('/api/v1/query', new URLSearchParams({ query: expr }));
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    range: async (query, start, end, step) => {
      const body = new URLSearchParams({ query, start: String(start), end: String(end), step: String(step) });
      const { result = [] } = await ask('/api/v1/query_range', body);
      return result.map(({ values = [] }) => values.map(([time, value]): Point => [time, Number(value)]));
    },
    alerts: async () => {
      const { alerts = [] } = await ask('/api/v1/alerts');
      return alerts.map(({ labels }) => labels.alertname ?? '');
    },
    output: program.output,
    stop,
  };
}

function settings({ otlp, scrape }: PrometheusOptions): object {
  const job = { job_name: 'whodunit', scrape_interval: '500ms', static_configs: [{ targets: [scrape] }] };
  return {
    global: { evaluation_interval: '1s' },
    rule_files: [PROMETHEUS_ALERTS],
    ...(otlp && { otlp }),
    ...(scrape !== undefined && { scrape_configs: [job] }),
  };
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: {
    readonly result?: readonly {
      metric: Record<string, string>;
      value: readonly [number, string];
      values?: [number, string][];
    }[];
    readonly alerts?: readonly { labels: Record<string, string> }[];
  };
}
