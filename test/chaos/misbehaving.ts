// SPDX-License-Identifier: Apache-2.0
// Stands in front of the real collector, over HTTP and gRPC, and behaves as the scenario asks. What it accepts it hands on as it came,
// so that the collector's file stays the only proof of a delivery. A fake is right here: no real collector does this on demand.
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

export const MOODS = [
  'unavailable',
  'throttled',
  'refuses a part',
  'refuses the request',
  'hangs',
  'hangs after it took them',
  'hangs up half-way',
  'hangs up after it took them',
] as const;
export type Mood = (typeof MOODS)[number] | 'good';
/** In these it accepts what it does not refuse. */
export const REFUSING: ReadonlySet<Mood> = new Set(['refuses a part', 'refuses the request']);

const RETRY_AFTER_S = 2;
/** Timers and two clocks may differ by this much. */
const EARLY_BY_MS = 100;
const UNAVAILABLE = 14;
const RESOURCE_EXHAUSTED = 8;
const INVALID_ARGUMENT = 3;

/** What a request is answered with. `hang`: never; `hang up`: the connection is closed in the middle of the answer. */
type Answer =
  | { readonly kind: 'accept'; readonly message: Buffer }
  | { readonly kind: 'refuse'; readonly http: number; readonly grpc: number; readonly retryAfterS?: number }
  | { readonly kind: 'hang' | 'hang up' };

interface Endpoints {
  readonly http: string;
  readonly grpc: string;
}

export class Misbehaving {
  mood: Mood = 'good';
  /** Requests that met each mood. */
  readonly met = new Map<Mood, number>();
  /** Requests that came before the time that a 429 had named. */
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

  static async start(): Promise<Misbehaving> {
    const one = new Misbehaving();
    for (const server of [one.#http, one.#grpc])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return one;
  }

  /** Stands in front of this collector, and returns where. */
  before(collector: Endpoints): Endpoints {
    this.#collector = collector;
    const [http, grpc] = [this.#http, this.#grpc].map((server) => (server.address() as AddressInfo).port);
    return { http: `http://127.0.0.1:${http}`, grpc: `http://127.0.0.1:${grpc}` };
  }

  stop(): void {
    this.#http.close();
    this.#grpc.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** `hand` gives a message to the real collector and resolves when that has accepted it. */
  async #judge(message: Buffer, mood: Mood, hand: (message: Buffer) => Promise<Buffer>): Promise<Answer> {
    if (performance.now() < this.#notBefore - EARLY_BY_MS) this.early += 1;
    switch (mood) {
      case 'good':
        return { kind: 'accept', message: await hand(message) };
      case 'unavailable':
        return { kind: 'refuse', http: 503, grpc: UNAVAILABLE };
      case 'throttled':
        this.#notBefore = performance.now() + RETRY_AFTER_S * 1000;
        return { kind: 'refuse', http: 429, grpc: RESOURCE_EXHAUSTED, retryAfterS: RETRY_AFTER_S };
      case 'refuses a part': {
        const { kept, refused } = withoutRefused(message);
        const accepted = kept.length > 0 ? await hand(kept) : Buffer.alloc(0);
        return { kind: 'accept', message: refused > 0 ? partialSuccess(refused, 'not these') : accepted };
      }
      case 'refuses the request':
        if (!holdsRefused(message)) return { kind: 'accept', message: await hand(message) };
        return { kind: 'refuse', http: 400, grpc: INVALID_ARGUMENT };
      case 'hangs':
        return { kind: 'hang' };
      case 'hangs after it took them':
        await hand(message);
        return { kind: 'hang' };
      case 'hangs up half-way':
        return { kind: 'hang up' };
      case 'hangs up after it took them':
        await hand(message);
        return { kind: 'hang up' };
    }
  }

  #meet(mood: Mood): void {
    this.met.set(mood, (this.met.get(mood) ?? 0) + 1);
  }

  async #overHttp(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { mood } = this;
    this.#meet(mood);
    try {
      // Half-way of the request: its first bytes have come.
      if (mood === 'hangs up half-way') return void request.once('data', () => request.socket.destroy());
      const answer = await this.#judge(await whole(request), mood, async (message) => {
        const handed = await fetch(`${this.#collector.http}/v1/logs`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-protobuf' },
          body: message,
        });
        if (handed.status !== 200) throw new Error(`the collector answered ${handed.status}`);
        return Buffer.from(await handed.arrayBuffer());
      });
      switch (answer.kind) {
        case 'accept':
          return void response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end(answer.message);
        case 'refuse': {
          const wait = answer.retryAfterS === undefined ? {} : { 'retry-after': String(answer.retryAfterS) };
          return void response.writeHead(answer.http, wait).end();
        }
        case 'hang':
          return;
        case 'hang up':
          response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': '100' }).write('half');
          return void setImmediate(() => request.socket.destroy());
      }
    } catch {
      // The collector did not take it, or the service gave up: no success was answered.
      request.socket.destroy();
    }
  }

  async #overGrpc(stream: ServerHttp2Stream): Promise<void> {
    const { mood } = this;
    this.#meet(mood);
    stream.on('error', () => {});
    const hangUp = () => stream.session?.destroy();
    try {
      if (mood === 'hangs up half-way') return void stream.once('data', hangUp);
      const answer = await this.#judge(unframe(await whole(stream)), mood, async (message) =>
        unframe(await callGrpc(this.#collector.grpc, frame(message))),
      );
      switch (answer.kind) {
        case 'accept':
          return respond(stream, { 'grpc-status': '0' }, frame(answer.message));
        case 'refuse':
          return respond(stream, {
            'grpc-status': String(answer.grpc),
            'grpc-message': 'no',
            ...(answer.retryAfterS === undefined
              ? {}
              : { 'grpc-status-details-bin': retryInfo(answer.grpc, answer.retryAfterS).toString('base64') }),
          });
        case 'hang':
          return;
        case 'hang up':
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
          return void setImmediate(hangUp);
      }
    } catch {
      hangUp();
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

/** One call of the logs service. Rejects unless its status is OK. */
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
