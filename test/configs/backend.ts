// SPDX-License-Identifier: Apache-2.0
// A backend over OTLP/HTTP that permanently refuses what contains a certain text, as real ones refuse an invalid record, and accepts the
// rest.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface Backend {
  readonly url: string;
  /** The bodies of requests, decompressed. */
  readonly accepted: Buffer[];
  readonly refused: Buffer[];
  /** The headers of the last request of each path. */
  readonly headers: Map<string, IncomingHttpHeaders>;
  readonly stop: () => void;
}

/** `poison`: what is refused; null: nothing. `listenOn`: a port; any by default. */
export async function startBackend(poison: string | null, listenOn = 0): Promise<Backend> {
  const headers = new Map<string, IncomingHttpHeaders>();
  const [accepted, refused]: [Buffer[], Buffer[]] = [[], []];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const bad = poison !== null && body.includes(poison);
    headers.set(request.url ?? '', request.headers);
    (bad ? refused : accepted).push(body);
    response.writeHead(bad ? 400 : 200, { 'content-type': 'application/x-protobuf' }).end();
  }).listen(listenOn, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, accepted, refused, headers, stop: () => server.close() };
}
