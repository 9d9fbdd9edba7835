// SPDX-License-Identifier: Apache-2.0
// The shipped configurations, in the combinations that users need, and a collector that runs one of them. The files are not changed:
// addresses are set by their environment variables.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { answers } from './collector.ts';
import { freePorts, type Program, ROOT, startProgram, temporaryDirectory } from './program.ts';
import { type Restartable, startRestartable } from './restartable.ts';

const OTEL_CONFIG = join(ROOT, 'otel-config');
const READY_WITHIN_MS = 60_000;

/** Files of otel-config/, without `.yaml`. */
const backends = readdirSync(join(OTEL_CONFIG, 'backends')).map((name) => `backends/${name.replace(/\.yaml$/, '')}`);

/** All combinations: the files, in the order of --config. */
export const COMBINATIONS: readonly (readonly string[])[] = [
  ['collector'],
  ['collector', 'deaths-by-killer'],
  ['sidecar'],
  ['agent'],
  ['agent', 'agent-without-kubernetes'],
  ['gateway'],
  ...['collector', 'sidecar', 'agent'].flatMap((base) => backends.map((backend) => [base, backend])),
];

/** The variables that users set. */
export const SETTINGS = {
  BACKEND_OTLP_ENDPOINT: 'http://backend:4318',
  GRAFANA_CLOUD_OTLP_ENDPOINT: 'https://otlp-gateway-prod-eu-west-2.grafana.net/otlp',
  GRAFANA_CLOUD_AUTH: 'MTIzNDU2OmdsY19leGFtcGxl',
  HONEYCOMB_API_KEY: 'example',
  K8S_NODE_NAME: 'node-1',
} as const;

/** The files in otel-config/ that configure a collector. */
export function collectorFiles(): string[] {
  return ['.', 'backends'].flatMap((directory) =>
    readdirSync(join(OTEL_CONFIG, directory))
      .filter((name) => name.endsWith('.yaml') && name !== 'rules.yaml')
      .map((name) => relative(OTEL_CONFIG, join(OTEL_CONFIG, directory, name)).replace(/\.yaml$/, '')),
  );
}

export function startConfigs(command: readonly string[], files: readonly string[], env: NodeJS.ProcessEnv): Program {
  const binary = process.env.WHODUNIT_TEST_CONFIGS_COLLECTOR;
  if (binary === undefined) throw new Error('WHODUNIT_TEST_CONFIGS_COLLECTOR is not set: run npm run test:configs');
  const configs = files.flatMap((name) => ['--config', join(OTEL_CONFIG, `${name}.yaml`)]);
  return startProgram(binary, [...command, ...configs], {
    env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env },
  });
}

export interface Shipped extends Restartable {
  readonly grpc: string;
  readonly http: string;
  /** The collector's own metrics, if the configuration has them: the address of their page. */
  readonly metrics: string;
}

/** Starts a combination and waits for its health check. `env`: the address of its backend. */
export async function startShipped(files: readonly string[], env: NodeJS.ProcessEnv): Promise<Shipped> {
  const directory = temporaryDirectory();
  const [grpc = 0, http = 0, health = 0, metrics = 0] = await freePorts(4);
  const collector = await startRestartable({
    name: `the collector with ${files.join(' and ')}`,
    readyWithinMs: READY_WITHIN_MS,
    start: () =>
      startConfigs([], files, {
        OTLP_GRPC_LISTEN: `127.0.0.1:${grpc}`,
        OTLP_HTTP_LISTEN: `127.0.0.1:${http}`,
        HEALTH_LISTEN: `127.0.0.1:${health}`,
        METRICS_PORT: String(metrics),
        OTELCOL_STATE_DIR: join(directory.path, 'state'),
        ...env,
      }),
    isReady: () => answers(`http://127.0.0.1:${health}`),
    remove: directory.remove,
  });
  return Object.assign(collector, {
    grpc: `http://127.0.0.1:${grpc}`,
    http: `http://127.0.0.1:${http}`,
    metrics: `http://127.0.0.1:${metrics}/metrics`,
  });
}
