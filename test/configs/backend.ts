// SPDX-License-Identifier: Apache-2.0
// A backend over OTLP/HTTP that refuses what contains a certain text, permanently, as real ones refuse an invalid record, or for now, as they
// refuse what is above their limit. It accepts the rest.
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
  /** Refuses nothing from now on. */
  readonly recover: () => void;
  readonly stop: () => void;
}

/** `poison`: what is refused; null: nothing. `listenOn`: a port; any by default. `status`: how. */
export async function startBackend(poison: string | null, listenOn = 0, status = 400): Promise<Backend> {
  let refuses = poison;
  const headers = new Map<string, IncomingHttpHeaders>();
  const [accepted, refused]: [Buffer[], Buffer[]] = [[], []];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const bad = refuses !== null && body.includes(refuses);
    headers.set(request.url ?? '', request.headers);
    (bad ? refused : accepted).push(body);
    response.writeHead(bad ? status : 200, { 'content-type': 'application/x-protobuf' }).end();
  }).listen(listenOn, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const recover = () => {
    refuses = null;
  };
  return { url: `http://127.0.0.1:${port}`, accepted, refused, headers, recover, stop: () => server.close() };
}
