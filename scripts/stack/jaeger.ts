// SPDX-License-Identifier: Apache-2.0
// A real Jaeger for tests: receives traces over OTLP and returns them through the HTTP API of its web interface. `npm test` builds it
// and sets its path in WHODUNIT_TEST_JAEGER (scripts/build/backends.ts).
import { answers } from './collector.ts';
import { freePorts, startProgram, temporaryDirectory, until } from './program.ts';

const READY_WITHIN_MS = 120_000;

/** As /api/traces returns it, with tags as plain values. */
export interface JaegerSpan {
  readonly operationName: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: no parent. */
  readonly parentSpanId: string;
  readonly startMicros: number;
  readonly durationMicros: number;
  readonly tags: Readonly<Record<string, unknown>>;
  readonly service: string;
  readonly serviceTags: Readonly<Record<string, unknown>>;
}

export interface Jaeger {
  readonly grpc: string;
  readonly http: string;
  /** Returns the spans of a trace; empty if Jaeger has no such trace. */
  readonly trace: (traceId: string) => Promise<readonly JaegerSpan[]>;
  /** Returns the spans of a service that the web interface finds for the last minutes. */
  readonly search: (service: string, minutes: number) => Promise<readonly JaegerSpan[]>;
  readonly stop: () => Promise<void>;
}

export async function startJaeger(): Promise<Jaeger> {
  const binary = process.env.WHODUNIT_TEST_JAEGER;
  if (binary === undefined)
    throw new Error(
      'WHODUNIT_TEST_JAEGER is not set: `WHODUNIT_TEST_JAEGER=$(node_modules/.bin/node scripts/build/backends.ts)`',
    );
  const directory = temporaryDirectory();
  const [grpc, http, query, queryGrpc, admin, thrift, proto] = (await freePorts(7)).map((port) => `127.0.0.1:${port}`);
  const program = startProgram(
    binary,
    [
      `--collector.otlp.grpc.host-port=${grpc}`,
      `--collector.otlp.http.host-port=${http}`,
      `--query.http-server.host-port=${query}`,
      `--query.grpc-server.host-port=${queryGrpc}`,
      `--admin.http.host-port=${admin}`,
      `--collector.http-server.host-port=${thrift}`,
      `--collector.grpc-server.host-port=${proto}`,
      '--log-level=warn',
    ],
    { cwd: directory.path, env: { ...process.env, SPAN_STORAGE_TYPE: 'memory' } },
  );
  const stop = async () => {
    await program.stop();
    directory.remove();
  };
  try {
    await until('Jaeger', READY_WITHIN_MS, () => answers(`http://${admin}/`), program.output);
  } catch (error) {
    await stop();
    throw error;
  }
  const trace = async (traceId: string) => {
    const response = await fetch(`http://${query}/api/traces/${traceId}`);
    return response.status === 404 ? [] : spansOf(await response.json());
  };
  const search = async (service: string, minutes: number) => {
    const now = Date.now();
    const range = { start: `${(now - minutes * 60_000) * 1000}`, end: `${now * 1000}` };
    const response = await fetch(
      `http://${query}/api/traces?${new URLSearchParams({ service, limit: '100', ...range })}`,
    );
    return spansOf(await response.json());
  };
  return { grpc: `http://${grpc}`, http: `http://${http}`, trace, search, stop };
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of another program; a test fails if it is read wrongly
type Json = any;

function spansOf({ data }: Json): JaegerSpan[] {
  return data.flatMap(({ spans, processes }: Json) =>
    spans.map(({ operationName, traceID, spanID, references, startTime, duration, tags, processID }: Json) => ({
      operationName,
      traceId: traceID,
      spanId: spanID,
      parentSpanId: references.find(({ refType }: Json) => refType === 'CHILD_OF')?.spanID ?? '',
      startMicros: startTime,
      durationMicros: duration,
      tags: plain(tags),
      service: processes[processID].serviceName,
      serviceTags: plain(processes[processID].tags),
    })),
  );
}

function plain(tags: Json): Record<string, unknown> {
  return Object.fromEntries(tags.map(({ key, value }: Json) => [key, value]));
}
