// SPDX-License-Identifier: Apache-2.0
// Each answer is assigned to its own export, also while other requests are in flight; partial success is read for every signal. Real
// exporters against a real HTTP server.
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtobufLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/core/delivery/outcome.ts';
import { buildSpan } from '../../../src/core/telemetry/span.ts';
import { Log } from '../../../src/io/log.ts';
import { exportOnce, readDiagnostics } from '../../../src/io/otlp/exchange.ts';
import { exportersOf } from '../../../src/io/otlp/exporters.ts';
import { Metrics } from '../../../src/io/otlp/metrics.ts';
import { Traces } from '../../../src/io/otlp/traces.ts';
import { recordOf } from '../../support/circumstances.ts';
import { exitedWith } from '../../support/deadly.ts';
import { host } from '../../support/host.ts';

const EXPORTS = 50;
const JSON_TYPE = { 'content-type': 'application/json' };

let server: Server;
let url: string;
let connections: number;
let lines: string[];
let respond: (request: IncomingMessage, response: ServerResponse) => void;
const saved = { ...process.env };

beforeEach(async () => {
  [connections, lines] = [0, []];
  readDiagnostics(new Log((line) => lines.push(line)));
  server = createServer((incoming, response) => {
    incoming.resume().on('end', () => respond(incoming, response));
  })
    .on('connection', () => {
      connections += 1;
    })
    .listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  process.env = { ...saved };
  server.closeAllConnections();
  server.close();
});

const exporting = (exporter: LogRecordExporter, limitMs?: number): Promise<Outcome> =>
  exportOnce((done) => exporter.export([], done), limitMs);

describe('an answer', () => {
  it('is assigned to its export: four exporters to one path at once, over keep-alive connections', async () => {
    respond = (incoming, response) => {
      const { name, status } = incoming.headers;
      const partialSuccess = { rejectedLogRecords: '1', errorMessage: name };
      // Answers arrive out of order.
      setTimeout(() => {
        response.writeHead(Number(status), { ...JSON_TYPE, 'retry-after': String(name) });
        response.end(status === '200' ? JSON.stringify({ partialSuccess }) : '');
      }, Math.random() * 8);
    };
    const options = (name: string, status: number) => ({
      url: `${url}/v1/logs`,
      headers: { name, status: String(status) },
      timeoutMillis: 900,
    });
    const repeat = async (exporter: LogRecordExporter): Promise<Outcome[]> => {
      const outcomes: Outcome[] = [];
      for (let i = 0; i < EXPORTS; i += 1) outcomes.push(await exporting(exporter));
      return outcomes;
    };
    const [first, second, busy, missing] = await Promise.all([
      repeat(new OTLPLogExporter(options('first', 200))),
      repeat(new OTLPLogExporter(options('second', 200))),
      repeat(new ProtobufLogExporter(options('7', 503))),
      repeat(new OTLPLogExporter(options('missing', 404))),
    ]);
    const partial = (message: string): Outcome => ({ kind: 'success', partial: { rejected: 1, message } });
    expect(new Set(first?.map((outcome) => JSON.stringify(outcome)))).toEqual(
      new Set([JSON.stringify(partial('first'))]),
    );
    expect(second).toEqual(Array.from({ length: EXPORTS }, () => partial('second')));
    for (const outcome of busy ?? [])
      expect(outcome).toMatchObject({ kind: 'retryable', reached: true, afterMs: 7_000 });
    for (const outcome of missing ?? [])
      expect(outcome).toMatchObject({ kind: 'misconfigured', status: { kind: 'http', code: 404 } });
    expect(connections).toBe(4);
    expect(lines).toEqual([]);
  });

  it('to another request for the same path is ignored', async () => {
    const held: ServerResponse[] = [];
    respond = (incoming, response) => {
      if (incoming.headers.exporter === undefined) response.writeHead(404).end();
      else held.push(response);
    };
    const exporter = new OTLPLogExporter({ url: `${url}/v1/logs`, headers: { exporter: 'yes' }, timeoutMillis: 300 });
    const outcome = exporting(exporter);
    const other = request(`${url}/v1/logs`, { method: 'POST' }).end();
    const [answer] = (await once(other, 'response')) as [IncomingMessage];
    expect(answer.resume().statusCode).toBe(404);
    expect(await outcome).toMatchObject({ kind: 'retryable', status: { kind: 'unreached' } });
    expect(held).toHaveLength(1);
  });

  it('is that of the last attempt: an earlier one says nothing about a connection that breaks', async () => {
    let attempts = 0;
    respond = (incoming, response) => {
      attempts += 1;
      if (attempts === 1) response.writeHead(503).end();
      else incoming.socket.destroy();
    };
    const outcome = await exporting(new OTLPLogExporter({ url: `${url}/v1/logs`, timeoutMillis: 1_500 }));
    expect(attempts).toBe(2);
    expect(outcome).toMatchObject({ kind: 'retryable', reached: false, status: { kind: 'unreached' } });
  });

  it.each(['Text/HTML; charset=utf-8', 'application/xhtml+xml'])(
    'that is a web page (%s) is a wrong setting, whatever its status',
    async (type) => {
      respond = (_, response) => response.writeHead(200, { 'content-type': type }).end('<html>');
      expect(await exporting(new OTLPLogExporter({ url: `${url}/v1/logs` }))).toMatchObject({
        kind: 'misconfigured',
        status: { kind: 'http', code: 200 },
        message: 'with a web page instead of an OTLP response',
      });
    },
  );

  it('to plain HTTP of a TLS port is a wrong setting', async () => {
    respond = (_, response) => response.writeHead(400).end('Client sent an HTTP request to an HTTPS server.\n');
    const outcome = await exporting(new OTLPLogExporter({ url: `${url}/v1/logs` }));
    expect(outcome).toMatchObject({ kind: 'misconfigured', status: { kind: 'http', code: 400 } });
  });

  it('that says yes and does not end is no fault of the settings', async () => {
    respond = (_, response) => response.writeHead(200, { ...JSON_TYPE, 'content-length': '100' }).write('{');
    const outcome = await exporting(new OTLPLogExporter({ url: `${url}/v1/logs`, timeoutMillis: 300 }));
    expect(outcome).toMatchObject({ kind: 'retryable', reached: false, status: { kind: 'unreached' } });
  });

  it.each([200, 400])(
    'with status %i that comes byte by byte, and never ends, is given up after a while',
    async (status) => {
      respond = (_, response) => {
        response.writeHead(status, { ...JSON_TYPE, 'content-length': '1000000' });
        const drip = setInterval(() => response.write(' '), 50);
        response.on('close', () => clearInterval(drip));
      };
      const exporter = new OTLPLogExporter({ url: `${url}/v1/logs`, timeoutMillis: 5_000 });
      const outcome = await exporting(exporter, 500);
      expect(outcome).toMatchObject({
        kind: 'retryable',
        sent: true,
        status: { kind: 'unreached', cause: 'ETIMEDOUT' },
      });
    },
  );

  it.each([
    ['the status', 'HTTP/1.1 200 '],
    ['headers', 'HTTP/1.1 200 OK\r\nContent-Type: '],
  ])('of which %s come byte by byte, and never end, is given up after a while', async (_, begins) => {
    respond = ({ socket }) => {
      socket.write(begins);
      const drip = setInterval(() => socket.write('x'), 50);
      socket.on('close', () => clearInterval(drip));
    };
    const outcome = await exporting(new OTLPLogExporter({ url: `${url}/v1/logs`, timeoutMillis: 5_000 }), 500);
    expect(outcome).toMatchObject({ kind: 'retryable', status: { kind: 'unreached' } });
  });

  it('that says yes and breaks off is none', async () => {
    respond = (_, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-length': '100' }).write('{');
      setTimeout(() => response.destroy(), 50);
    };
    const outcome = await exporting(new OTLPLogExporter({ url: `${url}/v1/logs` }));
    expect(outcome).toMatchObject({ kind: 'retryable', sent: true, status: { kind: 'unreached' } });
  });
});

describe('an export counts as rejected', () => {
  const death = exitedWith(1);
  const target = { protocol: 'http/json', endpoint: 'http://c' } as const;
  const answerWith = (partialSuccess: object): void => {
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = url;
    respond = (_, response) => response.writeHead(200, JSON_TYPE).end(JSON.stringify({ partialSuccess }));
  };
  const log = (): Log => new Log((line) => lines.push(line));

  it('the data points of a partial success', async () => {
    answerWith({ rejectedDataPoints: '2', errorMessage: 'too many series' });
    const observe = () => ({
      normalExits: null,
      reported: 0,
      filtered: 0,
      aggregated: 0,
      lost: { kernel: 0, loader: 0, queue: 0, export: 0 },
      exceeded: [],
      factsLost: 0,
      queue: null,
    });
    const exporter = (await exportersOf('http/json')).metrics();
    const metrics = new Metrics({ exporter, host, observe, log: log(), intervalMs: 1_000_000, target });
    await metrics.flush();
    expect(metrics.snapshot()).toMatchObject({ rejected: 2, lastFailure: null });
    expect(lines.join()).toContain('rejected 2 of 7 data points (partial success): too many series');
    await metrics.close();
  });

  it('the spans of a partial success, which are dropped', async () => {
    answerWith({ rejectedSpans: '1', errorMessage: 'too old' });
    const traces = new Traces({ exporter: (await exportersOf('http/json')).spans(), log: log(), target });
    for (let i = 0; i < 3; i += 1) traces.submit(buildSpan(recordOf(death), 0n), '0 ');
    await traces.close(5_000);
    expect(traces.snapshot()).toMatchObject({ rejected: 1, dropped: 1, lastFailure: null });
    expect(lines.join()).toContain('rejected 1 of 3 spans (partial success): too old; 1 dropped so far');
  });

  it('the whole batch after HTTP 400', async () => {
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = url;
    respond = (_, response) => response.writeHead(400).end('bad');
    const traces = new Traces({ exporter: (await exportersOf('http/json')).spans(), log: log(), target });
    traces.submit(buildSpan(recordOf(death), 0n), '0 ');
    await traces.close(5_000);
    expect(traces.snapshot()).toMatchObject({
      rejected: 1,
      dropped: 1,
      lastFailure: { kind: 'rejected', status: { kind: 'http', code: 400 } },
    });
  });
});
