// SPDX-License-Identifier: Apache-2.0
// The health endpoint over HTTP: /livez and /readyz, and on the loopback interface /status and /recent. core/status.ts derives the answers
// from snapshots of the stages; the client is health-client.ts.
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { HealthAddress } from '../config/health-address.ts';
import type { RecentTermination } from '../core/filter/rules.ts';
import type { RecentRejection, ServiceSnapshot } from '../core/snapshots.ts';
import { notReady, statusOf } from '../core/status.ts';
import { visibleJson } from '../core/words/visible.ts';
import { listen, type Purpose, splitHost } from './http-server.ts';

/** Number of newest rejections in /status. */
const REJECTIONS_SHOWN = 5;

const PURPOSE: Purpose = {
  what: 'health address',
  codes: ['HEALTH_ADDR_TAKEN', 'HEALTH_ADDR_UNUSABLE'],
  another: 'set WHODUNIT_HEALTH_ADDR to another address or to off',
  ofThisMachine: 'set WHODUNIT_HEALTH_ADDR to an address of this machine, or to off',
};

/** The paths for clients that are not on this machine, or not in this pod. The others show command lines. */
const PUBLIC: readonly string[] = ['/livez', '/readyz'];
const NOT_LOCAL = {
  status: 403,
  body: { error: `only ${PUBLIC.join(' and ')} are served here; ask 127.0.0.1 for the others` },
};

/** Both ends: with route_localnet (ip-sysctl), packets from outside reach 127.0.0.1. */
function isLocal({ localAddress, remoteAddress }: Socket): boolean {
  return [localAddress, remoteAddress].every((address) => /^(?:::1$|(?:::ffff:)?127\.)/.test(address ?? ''));
}

/** A web page of any name, rebound to 127.0.0.1, sends its own name as Host. */
export function isOwnHost(header: string | undefined, { host }: HealthAddress): boolean {
  const name = splitHost(header);
  return name === host.toLowerCase() || name === 'localhost' || name === '::1' || /^127(?:\.\d{1,3}){3}$/.test(name);
}

function otherHost(header: string | undefined): Answer {
  const error = `the Host header is ${JSON.stringify(header ?? '')}; only a loopback name or the host of WHODUNIT_HEALTH_ADDR is answered here`;
  return { status: 403, body: { error } };
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** The sources of the answers, read at each request. */
export interface Served {
  readonly snapshot: () => ServiceSnapshot;
  /** Newest first. */
  readonly rejections: (limit: number) => readonly RecentRejection[];
  /** Oldest first. */
  readonly recent: () => readonly RecentTermination[];
}

/** Serves until the server is closed. Rejects with a FatalError if the address cannot be used. */
export function serveHealth(address: HealthAddress, served: Served): Promise<Server> {
  return listen(address, PURPOSE, (request, response) => {
    const { status, body } = answerTo(request, address, served);
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(`${visibleJson(body)}\n`);
  });
}

function answerTo(
  { method = '', url = '', socket, headers }: IncomingMessage,
  address: HealthAddress,
  served: Served,
): Answer {
  const path = url.split('?')[0] ?? '';
  if (!PUBLIC.includes(path)) {
    if (!isLocal(socket)) return NOT_LOCAL;
    if (!isOwnHost(headers.host, address)) return otherHost(headers.host);
  }
  return answer(method, path, served);
}

/** Rejects with a FatalError if the address cannot be used, as serveHealth() does. */
export async function requireFree(address: HealthAddress): Promise<void> {
  const server = await listen(address, PURPOSE, () => {});
  await new Promise((resolve) => server.close(resolve));
}

/** Returns the answer to a request. */
export function answer(method: string, path: string, served: Served): Answer {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: { error: 'only GET and HEAD are allowed' } };
  switch (path) {
    case '/livez':
      return { status: 200, body: { status: 'alive' } };
    case '/readyz': {
      const reason = notReady(served.snapshot().loader);
      return reason === null
        ? { status: 200, body: { status: 'ready' } }
        : { status: 503, body: { status: 'not ready', reason } };
    }
    case '/status':
      return { status: 200, body: statusOf(served.snapshot(), served.rejections(REJECTIONS_SHOWN), Date.now()) };
    case '/recent':
      return { status: 200, body: served.recent() };
    default:
      return { status: 404, body: { error: 'the paths are /livez, /readyz, /status and /recent' } };
  }
}
