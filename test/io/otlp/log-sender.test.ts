// SPDX-License-Identifier: Apache-2.0
// The sender against a fake collector whose answers each test defines, over HTTP and gRPC.
import { once } from 'node:events';
import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttp2, type Http2Server } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/core/delivery/outcome.ts';
import type { Protocol } from '../../../src/core/delivery/target.ts';
import { storeRecord } from '../../../src/core/telemetry/stored.ts';
import { Log } from '../../../src/io/log.ts';
import { readDiagnostics } from '../../../src/io/otlp/exchange.ts';
import { createLogSender, type Sender } from '../../../src/io/otlp/log-sender.ts';
import { recordOf } from '../../support/circumstances.ts';
import { killedBy, signal } from '../../support/deadly.ts';

const record = storeRecord(recordOf(killedBy(9, { signal: signal(9) })));

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly grpcStatus?: number;
  /** grpc-status-details-bin. */
  readonly details?: Buffer;
  /** No answer; or the connection is closed before the answer, or in the middle of it. */
  readonly fate?: 'silence' | 'cut' | 'half';
}

let answers: Answer[];
let bodies: Buffer[];
let server: Server | Http2Server;
let sender: Sender | null = null;
/** Sockets of the server, for closing them. */
let sockets: Socket[];
const saved = { ...process.env };

beforeEach(() => {
  readDiagnostics(new Log(() => {}));
  answers = [];
  bodies = [];
  sockets = [];
});

afterEach(async () => {
  process.env = { ...saved };
  sender?.close();
  sender = null;
  for (const socket of sockets) socket.destroy();
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
    const { status = 200, headers = {}, body = '', fate } = next();
    if (fate === 'silence') return;
    if (fate === 'cut') request.socket.destroy();
    else if (fate === 'half') {
      response.writeHead(status, { 'content-length': '100' }).write('{', () => request.socket.destroy());
    } else response.writeHead(status, headers).end(body);
  })
    .on('connection', (socket) => sockets.push(socket))
    .listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A gRPC server. A message starts with one byte for compression and four for its length. */
async function grpc(port = 0): Promise<number> {
  server = createHttp2()
    .on('connection', (socket: Socket) => sockets.push(socket))
    .on('stream', (stream) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        bodies.push(Buffer.concat(chunks).subarray(5));
        const { grpcStatus = 0, body = '', details, fate } = next();
        if (fate === 'silence') return;
        if (fate === 'cut') {
          stream.session?.destroy();
          return;
        }
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () =>
          stream.sendTrailers({
            'grpc-status': String(grpcStatus),
            'grpc-message': 'because',
            ...(details === undefined ? {} : { 'grpc-status-details-bin': details.toString('base64') }),
          }),
        );
        if (fate === 'half') {
          stream.write(Buffer.alloc(3), () => stream.session?.destroy());
          return;
        }
        const message = Buffer.from(body);
        const head = Buffer.alloc(5);
        head.writeUInt32BE(message.length, 1);
        stream.end(grpcStatus === 0 ? Buffer.concat([head, message]) : undefined);
      });
      stream.on('error', () => {});
    });
  (server as Http2Server).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return ((server as Http2Server).address() as AddressInfo).port;
}

async function send(protocol: Protocol, env: Record<string, string> = {}): Promise<Outcome> {
  if (sender === null) {
    const port = protocol === 'grpc' ? await grpc() : await http();
    Object.assign(process.env, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      // Over HTTP, the exporter retries by itself after 0.8 s.
      OTEL_EXPORTER_OTLP_TIMEOUT: protocol === 'grpc' ? '3000' : '700',
      ...env,
    });
    sender = await createLogSender(protocol);
  }
  return sender.send([record]);
}

const OK: Outcome = { kind: 'success', partial: null };
/** ExportLogsServiceResponse { partial_success { rejected_log_records: 1, error_message: "old" } } */
const PARTIAL = Buffer.from([0x0a, 0x07, 0x08, 0x01, 0x12, 0x03, 0x6f, 0x6c, 0x64]);

/** google.rpc.Status with a RetryInfo of 2.5 s among its details. */
const RETRY_INFO = (() => {
  const part = (field: number, content: Buffer) =>
    Buffer.concat([Buffer.from([(field << 3) | 2, content.length]), content]);
  // Duration { seconds: 2, nanos: 500000000 }
  const delay = Buffer.from([0x08, 0x02, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]);
  const type = Buffer.from('type.googleapis.com/google.rpc.RetryInfo');
  const any = Buffer.concat([part(1, type), part(2, part(1, delay))]);
  return Buffer.concat([Buffer.from([0x08, 0x08]), part(2, Buffer.from('slow')), part(3, any)]);
})();

describe.each<Protocol>(['grpc', 'http/protobuf', 'http/json'])('%s', (protocol) => {
  it('sends the record with the victim as its resource', async () => {
    expect(await send(protocol)).toEqual(OK);
    const text = bodies[0]?.toString('latin1') ?? '';
    for (const part of ['whodunit.cause', 'killed', 'unknown_service:sleep', 'schemas/1.45.0'])
      expect(text).toContain(part);
  });

  it('sends once per call; an unavailable collector is retryable', async () => {
    answers.push({ status: 503, grpcStatus: 14 });
    expect(await send(protocol)).toMatchObject({ kind: 'retryable', afterMs: null });
    expect(bodies).toHaveLength(1);
    expect(await send(protocol)).toEqual(OK);
  });

  it('returns the delay that the collector asks for', async () => {
    answers.push({ status: 429, headers: { 'retry-after': '3' }, grpcStatus: 8, details: RETRY_INFO });
    const afterMs = protocol === 'grpc' ? 2_500 : 3_000;
    expect(await send(protocol)).toMatchObject({ kind: 'retryable', reached: true, afterMs });
  });

  it('returns rejected for HTTP 400 and INVALID_ARGUMENT', async () => {
    answers.push({ status: 400, grpcStatus: 3 });
    const outcome = await send(protocol);
    expect(outcome).toMatchObject({
      kind: 'rejected',
      status: protocol === 'grpc' ? { kind: 'grpc', code: 3 } : { kind: 'http', code: 400 },
    });
  });

  it('returns rejected for bytes that are not a record, and sends the next batch', async () => {
    expect(await send(protocol)).toEqual(OK);
    for (const bytes of ['', 'null', '{}', '{"attributes":{},"resource":{"attributes":{}}}']) {
      expect(await sender?.send([record, Buffer.from(bytes)])).toMatchObject({
        kind: 'rejected',
        status: { kind: 'unencodable' },
      });
    }
    expect(await send(protocol)).toEqual(OK);
  });

  it('returns misconfigured if the collector accepts no logs', async () => {
    answers.push({ status: 404, grpcStatus: 12 });
    expect((await send(protocol)).kind).toBe('misconfigured');
  });

  it('returns the count and the reason of a partial success', async () => {
    const json = '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"old"}}';
    answers.push({
      headers: { 'content-type': protocol === 'http/json' ? 'application/json' : 'application/x-protobuf' },
      body: protocol === 'http/json' ? json : PARTIAL,
    });
    expect(await send(protocol)).toEqual({ kind: 'success', partial: { rejected: 1, message: 'old' } });
    expect(await send(protocol)).toEqual(OK);
  });

  it('returns success if the body of the answer cannot be decoded', async () => {
    answers.push({ body: Buffer.from([0xff, 0xff, 0xff]) });
    expect(await send(protocol)).toEqual(OK);
  });

  // Over HTTP, the header of an incomplete answer is enough: status 200.
  it.each(protocol === 'grpc' ? (['silence', 'cut', 'half'] as const) : (['silence', 'cut'] as const))(
    'returns retryable for no complete answer: %s',
    async (fate) => {
      expect(await send(protocol)).toEqual(OK);
      answers.push({ fate }, { fate });
      expect(await send(protocol)).toMatchObject({ kind: 'retryable', afterMs: null });
      answers.length = 0;
      expect(await send(protocol)).toEqual(OK);
    },
  );

  it('returns retryable if no collector listens', async () => {
    await send(protocol);
    sender?.close();
    Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    sender = await createLogSender(protocol);
    expect(await sender.send([record])).toMatchObject({ kind: 'retryable', reached: false });
  });
});

describe.each<Protocol>(['http/protobuf', 'http/json'])('over %s', (protocol) => {
  it('returns retryable if the collector closed the idle connection', async () => {
    expect(await send(protocol)).toEqual(OK);
    for (const socket of sockets) socket.destroy();
    expect(await send(protocol)).toMatchObject({ kind: 'retryable', reached: false });
    expect(await send(protocol)).toEqual(OK);
  });
});

describe('over grpc', () => {
  it('reaches a collector soon after a long outage', async () => {
    expect(await send('grpc')).toEqual(OK);
    const { port } = (server as Http2Server).address() as AddressInfo;
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    // Long enough for the channel's back-off to reach its maximum.
    for (const end = performance.now() + 6_000; performance.now() < end; ) {
      expect((await send('grpc')).kind).toBe('retryable');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await grpc(port);
    const back = performance.now();
    while ((await send('grpc')).kind !== 'success') await new Promise((resolve) => setTimeout(resolve, 20));
    expect(performance.now() - back).toBeLessThan(4_000);
  });
});

describe('over http/json', () => {
  it('sends times with all nanoseconds', async () => {
    await send('http/json');
    const sent = JSON.parse(bodies[0]?.toString() ?? '').resourceLogs[0].scopeLogs[0].logRecords[0];
    expect([sent.timeUnixNano, sent.observedTimeUnixNano]).toEqual(['1795443012123456789', '1795455345900000001']);
    expect(sent).toMatchObject({
      eventName: 'whodunit.process.termination',
      severityNumber: 17,
      severityText: 'ERROR',
    });
  });

  it('compresses as OTEL_EXPORTER_OTLP_COMPRESSION requires', async () => {
    await send('http/json', { OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' });
    expect(bodies[0]?.toString()).toContain('"resourceLogs"');
  });
});
