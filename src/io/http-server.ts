// SPDX-License-Identifier: Apache-2.0
// A small HTTP server for pages of this process. A connection serves one request, and the oldest ones give way to new ones. health.ts and
// prometheus/server.ts say what is served, and to whom.
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { HealthAddress } from '../config/health-address.ts';
import { FatalError, type FatalErrorCode } from '../core/errors.ts';
import { describeOwner, portOwner } from './port-owner.ts';

/** For the whole request, for its headers, and for a client that neither sends nor reads. */
const REQUEST_TIMEOUT_MS = 5_000;
/** Node.js looks for them as often, without a connection, too. */
const TIMEOUT_CHECK_MS = 5_000;
const CONNECTIONS_MAX = 64;

/** What the messages say if the address cannot be used. */
export interface Purpose {
  /** The address, such as `health address`. */
  readonly what: string;
  /** The port is taken; another reason. */
  readonly codes: readonly [FatalErrorCode, FatalErrorCode];
  /** The remedies, for each. */
  readonly another: string;
  readonly ofThisMachine: string;
}

/** Listens until the server is closed. Rejects with a FatalError if the address cannot be used. */
export function listen(address: HealthAddress, purpose: Purpose, answer: RequestListener): Promise<Server> {
  const timeouts = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  };
  const server = createServer(timeouts, answer);
  server.timeout = REQUEST_TIMEOUT_MS;
  server.maxRequestsPerSocket = 1;
  closeOldest(server);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(addressError(address, purpose, error)));
    server.listen(address.port, address.host, () => {
      server.removeAllListeners('error');
      server.on('error', () => {});
      server.unref();
      resolve(server);
    });
  });
}

/** Beyond CONNECTIONS_MAX, closes the oldest connection: clients that hold theirs do not shut out others. */
function closeOldest(server: Server): void {
  const open = new Set<Socket>(); // in the order of their arrival
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [oldest] = open;
    if (open.size > CONNECTIONS_MAX) oldest?.destroy();
  });
}

/** Returns the name or address in a Host header, in lower case; empty if it has none. */
export function splitHost(header: string | undefined): string {
  const [, bracketed, plain = ''] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(header ?? '') ?? [];
  return (bracketed ?? plain).toLowerCase();
}

function addressError({ host, port }: HealthAddress, purpose: Purpose, error: NodeJS.ErrnoException): FatalError {
  const { what, codes, another, ofThisMachine } = purpose;
  const where = `${what} ${host}:${port}`;
  if (error.code === 'EADDRINUSE') {
    const owner = describeOwner(portOwner(port));
    return new FatalError(codes[0], `The ${where} is already in use${owner}: stop that program, or ${another}.`);
  }
  return new FatalError(codes[1], `Cannot listen on the ${where} (${error.code}): ${ofThisMachine}.`);
}
