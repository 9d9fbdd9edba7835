// SPDX-License-Identifier: Apache-2.0
// A backend that lies and fails on demand, over OTLP/HTTP and gRPC. It recognises a termination by a mark in the arguments of the process,
// because strings are the same bytes in every encoding.

import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { startProgram, temporaryDirectory } from '../../scripts/stack/program.ts';
import { frame } from '../chaos/otlp-bytes.ts';

/** `http` 200 or `grpc` 0: accepted. `body`: of the answer; by default empty. */
export interface Answer {
  readonly http?: number;
  readonly grpc?: number;
  readonly type?: string;
  readonly body?: Buffer;
}
export type Signal = 'logs' | 'metrics';

export class Backend {
  /** What it answers. It may wait. */
  answer: (body: Buffer, signal: Signal) => Answer | Promise<Answer> = () => ({});
  /** Every request so far, and those that it accepted. */
  readonly requests: Record<Signal, Buffer[]> = { logs: [], metrics: [] };
  readonly accepted: Record<Signal, Buffer[]> = { logs: [], metrics: [] };
  readonly #sockets = new Set<Socket>();
  readonly #http = createServer((request, response) => void this.#overHttp(request, response).catch(gaveUp));
  readonly #grpc = createHttp2().on(
    'stream',
    (stream, headers) => void this.#overGrpc(stream, String(headers[':path'])),
  );

  static async start(): Promise<Backend> {
    const backend = new Backend();
    for (const server of [backend.#http, backend.#grpc]) {
      server.on('connection', (socket: Socket) => {
        backend.#sockets.add(socket);
        socket.on('error', () => {}).on('close', () => backend.#sockets.delete(socket));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    return backend;
  }

  get endpoints(): { http: string; grpc: string } {
    const [http, grpc] = [this.#http, this.#grpc].map((server) => (server.address() as AddressInfo).port);
    return { http: `http://127.0.0.1:${http}`, grpc: `http://127.0.0.1:${grpc}` };
  }

  /** Whether it accepted a record of the termination with this mark. */
  has(mark: string): boolean {
    return this.accepted.logs.some((body) => body.includes(mark));
  }

  stop(): void {
    this.#http.close();
    this.#grpc.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #decide(body: Buffer, path: string): Promise<Required<Answer>> {
    const signal = /metrics/i.test(path) ? 'metrics' : 'logs';
    this.requests[signal].push(body);
    const answer = {
      http: 200,
      grpc: 0,
      type: 'application/x-protobuf',
      body: Buffer.alloc(0),
      ...(await this.answer(body, signal)),
    };
    if (answer.http === 200 && answer.grpc === 0) this.accepted[signal].push(body);
    return answer;
  }

  async #overHttp(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { http, type, body } = await this.#decide(await whole(request), request.url ?? '');
    response.writeHead(http, { 'content-type': type }).end(body);
  }

  async #overGrpc(stream: ServerHttp2Stream, path: string): Promise<void> {
    stream.on('error', () => {});
    const { grpc, body } = await this.#decide(await whole(stream), path);
    if (stream.destroyed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(grpc) }));
    stream.end(grpc === 0 ? frame(body) : undefined);
  }
}

/** The service gave up or was stopped: there is no one to answer. */
function gaveUp(): void {}

async function whole(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Begins the mark of each process that onlyTheTest() lets be reported. */
export const PREFIX = 'backend-test-';
const RULES = `rules:
- { name: the test, action: report, arguments: "*${PREFIX}*" }
- { name: the rest of the machine, action: ignore, executable: "*" }
- { name: without an executable, action: ignore, uptime_above: 0 }
`;

/** Writes rules by which only processes of die() are reported. Returns the environment of the service, and how to remove them. */
export function onlyTheTest(): { env: NodeJS.ProcessEnv; remove: () => void } {
  const directory = temporaryDirectory();
  const file = join(directory.path, 'rules.yaml');
  writeFileSync(file, RULES);
  return { env: { WHODUNIT_CONFIG: file }, remove: () => directory.remove() };
}

/** Lets a process with this mark exit with code 3. Resolves when its parent knows. */
export async function die(mark: string): Promise<void> {
  const { code } = await startProgram('sh', ['-c', 'exit 3', `${PREFIX}${mark}`]).ended;
  if (code !== 3) throw new Error(`sh ended with code ${code}`);
}
