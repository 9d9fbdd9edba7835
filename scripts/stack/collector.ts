// SPDX-License-Identifier: Apache-2.0
// The real OpenTelemetry Collector for tests: receives OTLP over gRPC and HTTP, and writes files. `npm test` builds it and sets its path
// in WHODUNIT_TEST_COLLECTOR (scripts/build/collector.ts).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AppendedLines,
  type LogRecord,
  logRecords,
  type MetricPoint,
  metricPoints,
  requests,
  type Span,
  spans,
} from './otlp-file.ts';
import { freePorts, type Program, startProgram, temporaryDirectory, until } from './program.ts';

const LOGS_FILE = 'logs.jsonl';
const READY_WITHIN_MS = 60_000;
/** How often the file exporter flushes its buffer: part of every latency that a test measures. */
const FLUSH_INTERVAL = '5ms';
/** Never reached: a rotated file would not be read. */
const FILE_MEGABYTES_MAX = 1_000_000;

/** What the collector does with the log records that it accepts. */
export type Keep =
  /** Writes them to the file within a few milliseconds. */
  | 'buffered'
  /** Writes them to the file before it answers, so that a killed collector loses no accepted record. */
  | 'at once'
  /** Only counts them, in its own metrics. */
  | 'count';

export interface Collector {
  readonly grpc: string;
  readonly http: string;
  /** All log records so far, in order of arrival. */
  readonly logs: () => readonly LogRecord[];
  readonly metrics: () => readonly MetricPoint[];
  readonly spans: () => readonly Span[];
  /** The file of the log records, one request per line. */
  readonly logsFilePath: string;
  /** The number of accepted log records, from the collector's own metrics. */
  readonly accepted: () => Promise<number>;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

export type Signal = 'logs' | 'metrics' | 'traces';

export interface CollectorOptions {
  readonly keep?: Keep;
  /** The signals that it accepts. */
  readonly signals?: readonly Signal[];
  /** Free ports by default. */
  readonly httpPort?: number;
  readonly grpcPort?: number;
  /** Files in PEM format. undefined: no TLS. */
  readonly tls?: { readonly cert_file: string; readonly key_file: string };
}

export async function startCollector(options: CollectorOptions = {}): Promise<Collector> {
  const site = await collectorSite(options);
  const program = site.start();
  const stop = async () => {
    await program.stop();
    site.remove();
  };
  try {
    await site.ready(program);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...site, pid: program.pid, stop };
}

/** The ports, the configuration and the files of a collector. They outlive it: another one can be started with them. */
export interface CollectorSite extends Omit<Collector, 'pid' | 'stop'> {
  readonly start: () => Program;
  readonly ready: (program: Program) => Promise<void>;
  readonly remove: () => void;
}

export async function collectorSite(options: CollectorOptions): Promise<CollectorSite> {
  const binary = process.env.WHODUNIT_TEST_COLLECTOR;
  if (binary === undefined) {
    throw new Error(
      'WHODUNIT_TEST_COLLECTOR is not set: `WHODUNIT_TEST_COLLECTOR=$(node_modules/.bin/node scripts/build/collector.ts)`',
    );
  }
  const directory = temporaryDirectory();
  const logsFilePath = join(directory.path, LOGS_FILE);
  const [freeGrpc = 0, freeHttp = 0, health = 0, own = 0] = await freePorts(4);
  const { grpcPort: grpc = freeGrpc, httpPort: http = freeHttp } = options;
  const config = join(directory.path, 'collector.json'); // JSON is YAML
  writeFileSync(config, JSON.stringify(configuration({ directory: directory.path, grpc, http, health, own, options })));
  const scheme = options.tls === undefined ? 'http' : 'https';
  return {
    grpc: `${scheme}://127.0.0.1:${grpc}`,
    http: `${scheme}://127.0.0.1:${http}`,
    logsFilePath,
    accepted: async () => {
      const text = await (await fetch(`http://127.0.0.1:${own}/metrics`)).text();
      const counted = text.matchAll(/^otelcol_receiver_accepted_log_records(?:_total)?\{[^}]*\} (\S+)$/gm);
      return Array.from(counted, ([, value]) => Number(value)).reduce((sum, one) => sum + one, 0);
    },
    logs: collected(logsFilePath, logRecords),
    metrics: collected(join(directory.path, 'metrics.jsonl'), metricPoints),
    spans: collected(join(directory.path, 'traces.jsonl'), spans),
    start: () => startProgram(binary, ['--config', config]),
    ready: async (program) => {
      const url = `http://127.0.0.1:${health}`;
      await until('the health check of the collector', READY_WITHIN_MS, () => answers(url), program.output);
    },
    remove: directory.remove,
  };
}

interface Ports {
  readonly grpc: number;
  readonly http: number;
  readonly health: number;
  /** The port of its own metrics. */
  readonly own: number;
}

function configuration({
  directory,
  grpc,
  http,
  health,
  own,
  options: { keep = 'buffered', signals = ['logs', 'metrics', 'traces'], tls },
}: Ports & { readonly directory: string; readonly options: CollectorOptions }) {
  const listening = (port: number) => ({ endpoint: `127.0.0.1:${port}`, ...(tls === undefined ? {} : { tls }) });
  const path = (name: string) => join(directory, name);
  const fileExporter = (name: string) => ({ path: path(name), flush_interval: FLUSH_INTERVAL });
  // With rotation, the file exporter does not buffer, and it appends after a restart (fileexporter, newFileWriter).
  const logsFile =
    keep === 'at once'
      ? { path: path(LOGS_FILE), rotation: { max_megabytes: FILE_MEGABYTES_MAX } }
      : fileExporter(LOGS_FILE);
  const pipeline = (signal: Signal) => {
    const exporter = signal === 'logs' && keep === 'count' ? 'debug' : `file/${signal}`;
    return { receivers: ['otlp'], exporters: [exporter] };
  };
  return {
    receivers: { otlp: { protocols: { grpc: listening(grpc), http: listening(http) } } },
    exporters: {
      'file/logs': logsFile,
      'file/metrics': fileExporter('metrics.jsonl'),
      'file/traces': fileExporter('traces.jsonl'),
      debug: { verbosity: 'basic' },
    },
    extensions: { health_check: { endpoint: `127.0.0.1:${health}` } },
    service: {
      extensions: ['health_check'],
      telemetry: {
        metrics: {
          level: 'basic',
          readers: [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port: own } } } }],
        },
        logs: { level: 'warn' },
      },
      pipelines: Object.fromEntries(signals.map((signal) => [signal, pipeline(signal)])),
    },
  };
}

/** Returns true if the URL answers 200, else undefined. */
export async function answers(url: string): Promise<true | undefined> {
  try {
    return (await fetch(url)).status === 200 ? true : undefined;
  } catch {
    return undefined;
  }
}

/** Returns a function that parses what the file exporter appended since its last call and returns everything so far, in order. */
export function collected<T>(path: string, parse: (line: string) => T[]): () => readonly T[] {
  const appended = new AppendedLines(path);
  const all: T[] = [];
  return () => {
    for (const line of appended.read()) for (const request of requests(line)) all.push(...parse(request));
    return all;
  };
}
