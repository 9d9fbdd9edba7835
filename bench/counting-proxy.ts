// SPDX-License-Identifier: Apache-2.0
// A TCP proxy that counts what passes: the bytes of a protocol on the wire, without the headers of TCP and IP.
import { connect, createServer, type Socket } from 'node:net';
import { freePorts } from '../scripts/stack/program.ts';

export interface CountingProxy {
  /** It listens there on all addresses of the machine. */
  readonly port: number;
  /** In both directions. */
  readonly bytes: () => number;
  readonly stop: () => Promise<void>;
}

/** `target`: a port of this machine. */
export async function startCountingProxy(target: number): Promise<CountingProxy> {
  const [port = 0] = await freePorts(1);
  const sockets = new Set<Socket>();
  let bytes = 0;
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => {
        bytes += chunk.length;
        to.write(chunk);
      });
      from.on('error', () => from.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
  return {
    port,
    bytes: () => bytes,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
