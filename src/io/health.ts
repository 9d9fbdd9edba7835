// SPDX-License-Identifier: Apache-2.0
// /livez, /readyz and /status over HTTP, for whoever watches the watcher. It tells the counters of stats.ts and counts nothing.
import { createServer, type Server } from 'node:http';
import { FatalError } from '../core/errors.ts';
import type { Hello } from '../core/event.ts';
import { lostByStage, type Stats } from './stats.ts';

/** Probes without which deaths would be missed or blamed wrongly. Others only add. */
const REQUIRED_PROBES: ReadonlySet<string> = new Set(['sched_process_exit', 'signal_generate', 'signal_deliver']);

/** Serves until `close`. Rejects with a FatalError if the address cannot be used. */
export function serveHealth(address: { host: string; port: number }, stats: Stats): Promise<Server> {
  const server = createServer((request, response) => {
    const { status, body } = answer(request.method ?? '', (request.url ?? '').split('?')[0] ?? '', stats);
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(`${JSON.stringify(body)}\n`);
  });
  server.requestTimeout = 5_000;
  server.maxConnections = 64;
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(addressError(address, error)));
    server.listen(address.port, address.host, () => {
      server.removeAllListeners('error');
      server.on('error', () => {});
      server.unref();
      resolve(server);
    });
  });
}

/** What a request gets. */
export function answer(method: string, path: string, stats: Stats): { status: number; body: unknown } {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: { error: 'only GET' } };
  switch (path) {
    case '/livez':
      return { status: 200, body: { status: 'alive' } };
    case '/readyz': {
      const reason = notReady(stats);
      return reason === null
        ? { status: 200, body: { status: 'ready' } }
        : { status: 503, body: { status: 'not ready', reason } };
    }
    case '/status':
      return { status: 200, body: statusOf(stats) };
    default:
      return { status: 404, body: { error: 'there are /livez, /readyz and /status' } };
  }
}

/** Why no death would be reported right now; null: all is well. */
export function notReady(stats: Stats): string | null {
  const { hello } = stats;
  if (!stats.connected || hello === null) return stats.socketError ?? 'not yet connected to the loader';
  if (hello.role !== 'consumer') return stats.socketError ?? 'the loader has not yet given the role of the consumer';
  return missingProbe(hello);
}

/** The first required probe that is not attached, with its note; null: none is missing. */
export function missingProbe(hello: Hello): string | null {
  if (!hello.probes.some(({ name, attached }) => name === 'sched_process_exit' && attached)) {
    return `probe sched_process_exit is not attached: ${hello.probes.find(({ name }) => name === 'sched_process_exit')?.note ?? 'not listed'}`;
  }
  const missing = hello.probes.find(({ name, attached }) => REQUIRED_PROBES.has(name) && !attached);
  return missing === undefined ? null : `probe ${missing.name} is not attached: ${missing.note ?? 'no reason given'}`;
}

function statusOf(stats: Stats): unknown {
  const { loader, hello } = stats;
  return {
    ready: notReady(stats) === null,
    reason: notReady(stats),
    started: iso(stats.startedMs),
    deaths: {
      received: stats.received,
      reported: stats.reported,
      screened: stats.screened,
      duplicates: stats.duplicates,
      pending: stats.pending,
      lost: lostByStage(stats),
    },
    bad_lines: stats.badLines,
    export: {
      logs: { last_success: iso(stats.exports.logs.lastSuccessMs), last_error: stats.exports.logs.lastError },
      metrics: { last_success: iso(stats.exports.metrics.lastSuccessMs), last_error: stats.exports.metrics.lastError },
    },
    loader:
      hello === null
        ? null
        : {
            connected: stats.connected,
            role: hello.role,
            version: hello.loader_version,
            kernel: hello.kernel_release,
            boot_id: hello.boot_id,
            probes: hello.probes,
          },
    ring:
      loader === null
        ? null
        : {
            bytes: loader.ring_bytes,
            used_bytes: loader.ring_used_bytes,
            deaths: Number(loader.deaths),
            exits_normal: Number(loader.exits_normal),
            read_seq: String(loader.read_seq),
            acked_seq: String(loader.acked_seq),
            signals_not_remembered: Number(loader.lost.memory_full),
          },
  };
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function addressError({ host, port }: { host: string; port: number }, error: NodeJS.ErrnoException): FatalError {
  const where = `${host}:${port}`;
  if (error.code === 'EADDRINUSE') {
    return new FatalError(
      'HEALTH_ADDR_TAKEN',
      `${where} is already in use: stop the other program, or set WHODUNIT_HEALTH_ADDR to another address, or to off.`,
    );
  }
  return new FatalError(
    'HEALTH_ADDR_UNUSABLE',
    `Cannot listen at ${where} (${error.code}): set WHODUNIT_HEALTH_ADDR to an address of this machine, or to off.`,
  );
}
