// SPDX-License-Identifier: Apache-2.0
// The official exporters against a fake collector that answers as it is told to, over HTTP and gRPC.
import { once } from 'node:events';
import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttp2, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { conclude } from '../../src/core/conclude.ts';
import { Recent, Seen } from '../../src/core/memory.ts';
import { Log } from '../../src/io/log.ts';
import {
  createLogExporter,
  listenToDiagnostics,
  type Outcome,
  outcomeOf,
  type Protocol,
  sendRecords,
} from '../../src/io/otlp.ts';
import { host } from '../core/host.ts';
import { killedBy, signal } from '../deadly.ts';

const record = (() => {
  const settings = {
    bootId: 'b',
    host,
    argumentsMode: 'redacted',
    reportMode: 'all',
    observedNs: 1_795_443_999_000_000_001n,
  } as const;
  const conclusion = conclude(killedBy(9, { signal: signal(9) }), {
    ...settings,
    seen: new Seen(1),
    recent: new Recent(),
  });
  if (conclusion.kind !== 'new' || conclusion.record === null) throw new Error('no record');
  return conclusion.record;
})();

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly grpcStatus?: number;
}

let answers: Answer[];
let bodies: Buffer[];
let server: Server | Http2Server;
let exporter: LogRecordExporter | null = null;
const lines: string[] = [];
const saved = { ...process.env };

beforeAll(() => listenToDiagnostics(new Log((text) => lines.push(text))));

beforeEach(() => {
  answers = [];
  bodies = [];
});

afterEach(async () => {
  process.env = { ...saved };
  await exporter?.shutdown();
  exporter = null;
  if ('closeAllConnections' in server) server.closeAllConnections();
  server.close();
});

const next = (): Answer => answers.shift() ?? {};

async function http(): Promise<number> {
  server = createHttp(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const whole = Buffer.concat(chunks);
    bodies.push(request.headers['content-encoding'] === 'gzip' ? gunzipSync(whole) : whole);
    const { status = 200, headers = {}, body = '' } = next();
    response.writeHead(status, headers).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A gRPC server of one method: a message has a byte for compression and four for its length. */
async function grpc(): Promise<number> {
  server = createHttp2().on('stream', (stream) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      bodies.push(Buffer.concat(chunks).subarray(5));
      const { grpcStatus = 0, body = '' } = next();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () =>
        stream.sendTrailers({ 'grpc-status': String(grpcStatus), 'grpc-message': 'because' }),
      );
      const message = Buffer.from(body);
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      stream.end(grpcStatus === 0 ? Buffer.concat([head, message]) : undefined);
    });
    stream.on('error', () => {});
  });
  (server as Http2Server).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return ((server as Http2Server).address() as AddressInfo).port;
}

async function send(protocol: Protocol, env: Record<string, string> = {}): Promise<Outcome> {
  if (exporter === null) {
    const port = protocol === 'grpc' ? await grpc() : await http();
    Object.assign(process.env, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '400',
      ...env,
    });
    exporter = await createLogExporter(protocol);
  }
  return sendRecords(exporter, [record]);
}

const OK: Outcome = { kind: 'success', refused: 0, reason: null };
/** ExportLogsServiceResponse { partial_success { rejected_log_records: 1, error_message: "old" } } */
const PARTIAL = Buffer.from([0x0a, 0x07, 0x08, 0x01, 0x12, 0x03, 0x6f, 0x6c, 0x64]);

describe.each<Protocol>(['grpc', 'http/protobuf', 'http/json'])('%s', (protocol) => {
  it('is accepted, with the victim for a resource', async () => {
    expect(await send(protocol)).toEqual(OK);
    const text = bodies[0]?.toString('latin1') ?? '';
    for (const part of ['whodunit.cause', 'killed', 'unknown_service:sleep', 'schemas/1.45.0'])
      expect(text).toContain(part);
  });

  it('is tried again when the collector is not there for a while', async () => {
    answers.push(...Array(8).fill({ status: 503, grpcStatus: 14 }));
    expect((await send(protocol)).kind).toBe('retryable');
    answers.length = 0;
    expect(await send(protocol)).toEqual(OK);
  });

  it('is not tried again when the collector does not understand it', async () => {
    answers.push({ status: 400, grpcStatus: 3 });
    const outcome = await send(protocol);
    expect(outcome).toMatchObject({ kind: 'permanent', reason: expect.stringMatching(/HTTP 400|gRPC 3/) });
    expect(bodies).toHaveLength(1);
  });

  it('a partial success tells how many were refused, and why', async () => {
    const json = '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"old"}}';
    answers.push({
      headers: { 'content-type': protocol === 'http/json' ? 'application/json' : 'application/x-protobuf' },
      body: protocol === 'http/json' ? json : PARTIAL,
    });
    expect(await send(protocol)).toEqual({ kind: 'success', refused: 1, reason: 'old' });
    expect(await send(protocol)).toEqual(OK);
  });

  it('a collector that never was there is no reason to drop anything', async () => {
    await send(protocol);
    await exporter?.shutdown();
    exporter = null;
    Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    exporter = await createLogExporter(protocol);
    expect((await sendRecords(exporter, [record])).kind).toBe('retryable');
  });
});

describe('over http/json', () => {
  it('every nanosecond arrives', async () => {
    await send('http/json');
    const sent = JSON.parse(bodies[0]?.toString() ?? '').resourceLogs[0].scopeLogs[0].logRecords[0];
    expect([sent.timeUnixNano, sent.observedTimeUnixNano]).toEqual(['1795443012123456789', '1795443999000000001']);
    expect(sent).toMatchObject({
      eventName: 'whodunit.process.termination',
      severityNumber: 17,
      severityText: 'ERROR',
    });
  });

  it('the standard variables for headers and compression work', async () => {
    await send('http/json', { OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' });
    expect(bodies[0]?.toString()).toContain('"resourceLogs"');
  });
});

describe('what a failure means', () => {
  const grpcError = (code: number, details?: Buffer) => ({
    code,
    details: 'x',
    metadata: { get: () => (details === undefined ? [] : [details]) },
  });

  it.each<[string, unknown, string]>([
    ['HTTP 429', { code: 429, message: 'x' }, 'retryable'],
    ['HTTP 502', { code: 502 }, 'retryable'],
    ['HTTP 504', { code: 504 }, 'retryable'],
    ['HTTP 500', { code: 500 }, 'permanent'],
    ['HTTP 401', { code: 401 }, 'permanent'],
    ['UNAVAILABLE', grpcError(14), 'retryable'],
    ['DEADLINE_EXCEEDED', grpcError(4), 'retryable'],
    ['RESOURCE_EXHAUSTED', grpcError(8), 'permanent'],
    [
      'RESOURCE_EXHAUSTED with RetryInfo',
      grpcError(8, Buffer.from('\n%type.googleapis.com/google.rpc.RetryInfo')),
      'retryable',
    ],
    ['UNIMPLEMENTED', grpcError(12), 'permanent'],
    ['UNAUTHENTICATED', grpcError(16), 'permanent'],
    ['a certificate that has expired', Object.assign(new Error('x'), { code: 'CERT_HAS_EXPIRED' }), 'retryable'],
    ['no reason at all', undefined, 'retryable'],
  ])('%s', (_, error, kind) => {
    expect(outcomeOf(error).kind).toBe(kind);
  });
});
