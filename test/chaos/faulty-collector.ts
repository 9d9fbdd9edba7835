// SPDX-License-Identifier: Apache-2.0
// A proxy in front of the real collector, over HTTP and gRPC, with faults that the scenario selects. It forwards what it accepts unchanged,
// so that the file of the collector remains the only proof of a delivery. A fake is right here: no real collector fails on demand.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  connect,
  createServer as createHttp2,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { frame, holdsRefused, partialSuccess, retryInfo, unframe, withoutRefused } from './otlp-bytes.ts';

export const FAULTS = [
  'unavailable',
  'throttled',
  'refuses some records',
  'refuses the request',
  'does not answer',
  'accepts, then does not answer',
  'disconnects during the request',
  'accepts, then disconnects',
] as const;
/** `fails`: HTTP 500, or INTERNAL, to every request (scenario j). */
export type Fault = (typeof FAULTS)[number] | 'fails' | 'no fault';
/** With these it refuses some records and accepts the others. */
export const REFUSING: ReadonlySet<Fault> = new Set(['refuses some records', 'refuses the request']);

const RETRY_AFTER_S = 2;
/** Tolerance for timers and for two clocks. */
const EARLY_BY_MS = 100;
const UNAVAILABLE = 14;
const RESOURCE_EXHAUSTED = 8;
const INVALID_ARGUMENT = 3;
const INTERNAL = 13;

/** The answer to a request. `none`: no answer; `disconnect`: the connection is closed in the middle of the answer. */
type Answer =
  | { readonly kind: 'accept'; readonly message: Buffer }
  | { readonly kind: 'refuse'; readonly http: number; readonly grpc: number; readonly retryAfterS?: number }
  | { readonly kind: 'none' | 'disconnect' };

interface Endpoints {
  readonly http: string;
  readonly grpc: string;
}

export class FaultyCollector {
  fault: Fault = 'no fault';
  /** The number of requests during each fault. */
  readonly requests = new Map<Fault, number>();
  /** Requests that arrived before the time in Retry-After. */
  early = 0;
  #collector: Endpoints = { http: '', grpc: '' };
  readonly #sockets = new Set<Socket>();
  readonly #http: Server;
  readonly #grpc: Http2Server;
  #notBefore = 0;

  private constructor() {
    this.#http = createServer((request, response) => void this.#overHttp(request, response));
    this.#grpc = createHttp2().on('stream', (stream) => void this.#overGrpc(stream));
    for (const server of [this.#http, this.#grpc])
      server.on('connection', (socket: Socket) => {
        this.#sockets.add(socket);
        socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
      });
  }

  static async start(): Promise<FaultyCollector> {
    const one = new FaultyCollector();
    for (const server of [one.#http, one.#grpc])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return one;
  }

  /** Sets the collector to forward to. Returns the endpoints of the proxy. */
  inFrontOf(collector: Endpoints): Endpoints {
    this.#collector = collector;
    const [http, grpc] = [this.#http, this.#grpc].map((server) => (server.address() as AddressInfo).port);
    return { http: `http://127.0.0.1:${http}`, grpc: `http://127.0.0.1:${grpc}` };
  }

  stop(): void {
    this.#http.close();
    this.#grpc.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** `forward` sends a message to the real collector and resolves when it was accepted. */
  async #decide(message: Buffer, fault: Fault, forward: (message: Buffer) => Promise<Buffer>): Promise<Answer> {
    if (performance.now() < this.#notBefore - EARLY_BY_MS) this.early += 1;
    switch (fault) {
      case 'no fault':
        return { kind: 'accept', message: await forward(message) };
      case 'unavailable':
        return { kind: 'refuse', http: 503, grpc: UNAVAILABLE };
      case 'fails':
        return { kind: 'refuse', http: 500, grpc: INTERNAL };
      case 'throttled':
        this.#notBefore = performance.now() + RETRY_AFTER_S * 1000;
        return { kind: 'refuse', http: 429, grpc: RESOURCE_EXHAUSTED, retryAfterS: RETRY_AFTER_S };
      case 'refuses some records': {
        const { kept, refused } = withoutRefused(message);
        const accepted = kept.length > 0 ? await forward(kept) : Buffer.alloc(0);
        return { kind: 'accept', message: refused > 0 ? partialSuccess(refused, 'refused by the test') : accepted };
      }
      case 'refuses the request':
        if (!holdsRefused(message)) return { kind: 'accept', message: await forward(message) };
        return { kind: 'refuse', http: 400, grpc: INVALID_ARGUMENT };
      case 'does not answer':
        return { kind: 'none' };
      case 'accepts, then does not answer':
        await forward(message);
        return { kind: 'none' };
      case 'disconnects during the request':
        return { kind: 'disconnect' };
      case 'accepts, then disconnects':
        await forward(message);
        return { kind: 'disconnect' };
    }
  }

  #count(fault: Fault): void {
    this.requests.set(fault, (this.requests.get(fault) ?? 0) + 1);
  }

  async #overHttp(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { fault } = this;
    this.#count(fault);
    try {
      // After the first bytes of the request.
      if (fault === 'disconnects during the request') return void request.once('data', () => request.socket.destroy());
      const answer = await this.#decide(await whole(request), fault, async (message) => {
        const forwarded = await fetch(`${this.#collector.http}/v1/logs`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-protobuf' },
          body: message,
        });
        if (forwarded.status !== 200) throw new Error(`the collector answered ${forwarded.status}`);
        return Buffer.from(await forwarded.arrayBuffer());
      });
      switch (answer.kind) {
        case 'accept':
          return void response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end(answer.message);
        case 'refuse': {
          const wait = answer.retryAfterS === undefined ? {} : { 'retry-after': String(answer.retryAfterS) };
          return void response.writeHead(answer.http, wait).end();
        }
        case 'none':
          return;
        case 'disconnect':
          response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': '100' }).write('half');
          return void setImmediate(() => request.socket.destroy());
      }
    } catch {
      // The collector did not accept it, or the service gave up. Nothing was answered.
      request.socket.destroy();
    }
  }

  async #overGrpc(stream: ServerHttp2Stream): Promise<void> {
    const { fault } = this;
    this.#count(fault);
    stream.on('error', () => {});
    const disconnect = () => stream.session?.destroy();
    try {
      if (fault === 'disconnects during the request') return void stream.once('data', disconnect);
      const answer = await this.#decide(unframe(await whole(stream)), fault, async (message) =>
        unframe(await callGrpc(this.#collector.grpc, frame(message))),
      );
      switch (answer.kind) {
        case 'accept':
          return respond(stream, { 'grpc-status': '0' }, frame(answer.message));
        case 'refuse':
          return respond(stream, {
            'grpc-status': String(answer.grpc),
            'grpc-message': 'refused by the test',
            ...(answer.retryAfterS === undefined
              ? {}
              : { 'grpc-status-details-bin': retryInfo(answer.grpc, answer.retryAfterS).toString('base64') }),
          });
        case 'none':
          return;
        case 'disconnect':
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
          return void setImmediate(disconnect);
      }
    } catch {
      disconnect();
    }
  }
}

async function whole(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function respond(stream: ServerHttp2Stream, trailers: Record<string, string>, body?: Buffer): void {
  if (stream.destroyed) return;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(body);
}

const EXPORT_PATH = '/opentelemetry.proto.collector.logs.v1.LogsService/Export';

/** Calls the logs service once. Rejects unless the status is OK. */
async function callGrpc(url: string, framed: Buffer): Promise<Buffer> {
  const session = connect(url);
  try {
    const failed = new Promise<never>((_, reject) => session.on('error', reject));
    const stream = session.request({
      ':method': 'POST',
      ':path': EXPORT_PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const status = new Promise<unknown>((resolve, reject) => {
      stream.on('error', reject);
      for (const event of ['response', 'trailers'])
        stream.on(event, (headers: IncomingHttpHeaders) => {
          if (headers['grpc-status'] !== undefined) resolve(headers['grpc-status']);
        });
    });
    stream.end(framed);
    const [body, code] = await Promise.race([Promise.all([whole(stream), status]), failed]);
    if (code !== '0') throw new Error(`the collector answered gRPC ${code}`);
    return body;
  } finally {
    session.close();
  }
}
