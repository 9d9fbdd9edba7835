// SPDX-License-Identifier: Apache-2.0
// The real OpenTelemetry Collector, as a test runs it: OTLP in over gRPC and HTTP, files out. `npm test` builds it and names
// its path in WHODUNIT_TEST_COLLECTOR (scripts/build-collector.mjs).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppendedLines, type LogRecord, logRecords, type MetricPoint, metricPoints } from './otlp-file.ts';
import { freePorts, startProgram, temporaryDirectory, until } from './program.ts';

const READY_WITHIN_MS = 20_000;
/** How often the file exporter empties its buffer: part of every latency that a test measures. */
const FLUSH_INTERVAL = '5ms';

export interface Collector {
  readonly grpc: string;
  readonly http: string;
  /** Every log record that has arrived so far, in order. */
  readonly logs: () => readonly LogRecord[];
  readonly metrics: () => readonly MetricPoint[];
  readonly stop: () => Promise<void>;
}

export async function startCollector(): Promise<Collector> {
  const binary = process.env.WHODUNIT_TEST_COLLECTOR;
  if (binary === undefined) {
    throw new Error(
      'WHODUNIT_TEST_COLLECTOR is not set: `WHODUNIT_TEST_COLLECTOR=$(node scripts/build-collector.mjs | tail -n 1)`',
    );
  }
  const directory = temporaryDirectory();
  const [grpc = 0, http = 0, health = 0] = await freePorts(3);
  const config = join(directory.path, 'collector.json'); // JSON is YAML
  const fileExporter = (name: string) => ({ path: join(directory.path, name), flush_interval: FLUSH_INTERVAL });
  writeFileSync(
    config,
    JSON.stringify({
      receivers: {
        otlp: {
          protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } },
        },
      },
      exporters: { 'file/logs': fileExporter('logs.jsonl'), 'file/metrics': fileExporter('metrics.jsonl') },
      extensions: { health_check: { endpoint: `127.0.0.1:${health}` } },
      service: {
        extensions: ['health_check'],
        telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
        pipelines: {
          logs: { receivers: ['otlp'], exporters: ['file/logs'] },
          metrics: { receivers: ['otlp'], exporters: ['file/metrics'] },
        },
      },
    }),
  );
  const program = startProgram(binary, ['--config', config]);
  const stop = async () => {
    await program.stop();
    directory.remove();
  };
  try {
    await until(
      'the health check of the collector',
      READY_WITHIN_MS,
      () => answers(`http://127.0.0.1:${health}`),
      program.output,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    grpc: `http://127.0.0.1:${grpc}`,
    http: `http://127.0.0.1:${http}`,
    logs: collected(join(directory.path, 'logs.jsonl'), logRecords),
    metrics: collected(join(directory.path, 'metrics.jsonl'), metricPoints),
    stop,
  };
}

/** true if it answers 200, undefined if not (yet). */
export async function answers(url: string): Promise<true | undefined> {
  try {
    return (await fetch(url)).status === 200 ? true : undefined;
  } catch {
    return undefined;
  }
}

function collected<T>(path: string, parse: (line: string) => T[]): () => readonly T[] {
  const appended = new AppendedLines(path);
  const all: T[] = [];
  return () => {
    for (const line of appended.read()) all.push(...parse(line));
    return all;
  };
}
