// SPDX-License-Identifier: Apache-2.0
// A real Loki in one process, with its files in a temporary directory, and the shipped alerts in its ruler. `npm run test:configs` builds it
// (scripts/build/backends.ts).
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { answers } from './collector.ts';
import { freePorts, type Program, ROOT, startProgram, temporaryDirectory, until } from './program.ts';

const READY_WITHIN_MS = 120_000;
/** Between two chunks that it writes. */
const GROWS_WITHIN_MS = 3_000;
export const LOKI_ALERTS = join(ROOT, 'otel-config/loki/alerts.yaml');
const CONFIG = join(ROOT, 'otel-config/loki/config.yaml');
/** The name of the only tenant if authentication is off. */
const TENANT = 'fake';

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Loki {
  readonly url: string;
  /** Evaluates a query for the last `hours`; the number of lines or series that it returns. Throws with Loki's error. */
  readonly count: (query: string, hours: number) => Promise<number>;
  /** The labels of each line of the last hour: those of its stream and its structured metadata. */
  readonly labels: (query: string) => Promise<readonly Readonly<Record<string, string>>[]>;
  /** The labels of the streams with this matcher. */
  readonly streams: (matcher: string) => Promise<readonly Readonly<Record<string, string>>[]>;
  /** Pending and firing. */
  readonly alerts: () => Promise<readonly Alert[]>;
  /** Writes what is in memory to its store, and returns the bytes of that once they do not grow any more. */
  readonly storedBytes: () => Promise<number>;
  readonly program: Program;
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

/** `shipped`: with otel-config/loki/config.yaml; otherwise with Loki's defaults. `alertmanager`: the URL to which the ruler sends alerts. */
export async function startLoki(shipped: boolean, alertmanager = ''): Promise<Loki> {
  const binary = process.env.WHODUNIT_TEST_LOKI;
  if (binary === undefined) throw new Error('WHODUNIT_TEST_LOKI is not set: run npm run test:configs');
  const directory = temporaryDirectory();
  const [http = 0, grpc = 0] = await freePorts(2);
  const rules = join(directory.path, 'rules');
  mkdirSync(join(rules, TENANT), { recursive: true });
  copyFileSync(LOKI_ALERTS, join(rules, TENANT, 'alerts.yaml'));
  const file = join(directory.path, 'loki.json'); // JSON is YAML
  const ours = shipped ? parse(readFileSync(CONFIG, 'utf8')) : {};
  writeFileSync(file, JSON.stringify({ ...settings(directory.path, rules, http, grpc, alertmanager), ...ours }));
  const program = startProgram(binary, [`-config.file=${file}`, '-target=all'], { cwd: directory.path });
  const url = `http://127.0.0.1:${http}`;
  const stop = async () => {
    await program.stop();
    directory.remove();
  };
  try {
    await until(
      'Loki',
      READY_WITHIN_MS,
      () => {
        if (!program.alive()) throw new Error(`Loki has ended:\n${program.output()}`);
        return answers(`${url}/ready`);
      },
      program.output,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  const ask = async (path: string, query: Record<string, string> = {}) => {
    const response = await fetch(`${url}${path}?${new URLSearchParams(query)}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`Loki: ${text}`);
    return JSON.parse(text).data;
  };
  const since = (hours: number) => String(BigInt(Date.now() - hours * 3_600_000) * 1_000_000n);
  return {
    url,
    count: async (query, hours) => {
      const { resultType, result } = await ask('/loki/api/v1/query_range', {
        query,
        start: since(hours),
        step: '60',
        limit: '5000',
      });
      if (resultType !== 'streams') return result.length;
      return result.reduce((sum: number, { values }: { values: unknown[] }) => sum + values.length, 0);
    },
    labels: async (query) => {
      const { result } = await ask('/loki/api/v1/query_range', { query, start: since(1), limit: '5000' });
      return result.map(({ stream }: { stream: Record<string, string> }) => stream);
    },
    streams: (matcher) => ask('/loki/api/v1/series', { 'match[]': matcher, start: since(24) }),
    alerts: async () => (await ask('/prometheus/api/v1/alerts')).alerts,
    storedBytes: () => flush(url, join(directory.path, 'chunks', TENANT)),
    program,
    output: program.output,
    stop,
  };
}

async function flush(url: string, chunks: string): Promise<number> {
  const { ok, status } = await fetch(`${url}/flush`, { method: 'POST' });
  if (!ok) throw new Error(`Loki: HTTP ${status} to /flush`);
  for (let before = 0; ; ) {
    await new Promise((resolve) => setTimeout(resolve, GROWS_WITHIN_MS));
    const bytes = bytesBelow(chunks);
    if (bytes === before && bytes > 0) return bytes;
    before = bytes;
  }
}

function bytesBelow(directory: string): number {
  if (!existsSync(directory)) return 0;
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

function settings(directory: string, rules: string, http: number, grpc: number, alertmanager: string): object {
  const inMemory = { kvstore: { store: 'inmemory' } };
  return {
    auth_enabled: false,
    analytics: { reporting_enabled: false },
    server: {
      http_listen_address: '127.0.0.1',
      http_listen_port: http,
      grpc_listen_address: '127.0.0.1',
      grpc_listen_port: grpc,
      log_level: 'warn',
    },
    common: {
      instance_addr: '127.0.0.1',
      path_prefix: directory,
      replication_factor: 1,
      ring: inMemory,
      storage: { filesystem: { chunks_directory: join(directory, 'chunks'), rules_directory: rules } },
    },
    schema_config: {
      configs: [
        {
          from: '2024-01-01',
          store: 'tsdb',
          object_store: 'filesystem',
          schema: 'v13',
          index: { prefix: 'index_', period: '24h' },
        },
      ],
    },
    ruler: {
      storage: { type: 'local', local: { directory: rules } },
      rule_path: join(directory, 'rule-path'),
      ring: inMemory,
      enable_api: true,
      alertmanager_url: alertmanager,
      evaluation_interval: '1s',
    },
  };
}
