// SPDX-License-Identifier: Apache-2.0
// /livez, /readyz, /status and /recent over HTTP, for whoever watches the watcher. It tells the counters of stats.ts and counts nothing.
import { createServer, type Server } from 'node:http';
import { withoutCredentials } from '../core/delivery/diagnose.ts';
import type { ExportState } from '../core/delivery/export-state.ts';
import { describeFailure } from '../core/delivery/outcome.ts';
import { FatalError } from '../core/errors.ts';
import type { Judged } from '../core/filter/rules.ts';
import { LOG_RECORD_UID } from '../core/telemetry/semconv.ts';
import { readRecord } from '../core/telemetry/stored.ts';
import type { Hello } from '../core/wire/event.ts';
import { lostByStage, type Stats } from './stats.ts';

/** Probes without which deaths would be missed or blamed wrongly. Others only add. */
const REQUIRED_PROBES: ReadonlySet<string> = new Set(['sched_process_exit', 'signal_generate', 'signal_deliver']);

/** Refusals in /status, the newest. */
const REJECTIONS_SHOWN = 5;
/** The terminations that were judged last, oldest first. */
export type RecentlyJudged = () => readonly Judged[];

/** Serves until `close`. Rejects with a FatalError if the address cannot be used. */
export function serveHealth(
  address: { host: string; port: number },
  stats: Stats,
  recent: RecentlyJudged = () => [],
): Promise<Server> {
  const server = createServer((request, response) => {
    const { status, body } = answer(request.method ?? '', (request.url ?? '').split('?')[0] ?? '', stats, recent);
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
export function answer(
  method: string,
  path: string,
  stats: Stats,
  recent: RecentlyJudged = () => [],
): { status: number; body: unknown } {
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
    case '/recent':
      return { status: 200, body: recent() };
    default:
      return { status: 404, body: { error: 'there are /livez, /readyz, /status and /recent' } };
  }
}

/** Why no death would be reported right now; null: all is well. */
export function notReady(stats: Stats): string | null {
  const { hello } = stats;
  if (!stats.connected || hello === null) return stats.socketError ?? 'not yet connected to the loader';
  if (hello.role !== 'consumer') return stats.socketError ?? 'the loader has not yet given the role of the consumer';
  return missingProbe(hello)?.text ?? null;
}

/** The first required probe that is not attached, and why; null: none is missing. */
export function missingProbe(hello: Hello): { readonly name: string; readonly text: string } | null {
  const missing = (name: string, why: string) => ({ name, text: `probe ${name} is not attached: ${why}` });
  if (!hello.probes.some(({ name, attached }) => name === 'sched_process_exit' && attached)) {
    const listed = hello.probes.find(({ name }) => name === 'sched_process_exit');
    return missing('sched_process_exit', listed?.note ?? 'not listed');
  }
  const probe = hello.probes.find(({ name, attached }) => REQUIRED_PROBES.has(name) && !attached);
  return probe === undefined ? null : missing(probe.name, probe.note ?? 'no reason given');
}

function statusOf(stats: Stats): unknown {
  const { loader, hello } = stats;
  const [logs, metrics, traces] = [
    stats.exports.logs?.snapshot() ?? null,
    stats.exports.metrics?.snapshot() ?? null,
    stats.exports.traces?.snapshot() ?? null,
  ];
  return {
    ready: notReady(stats) === null,
    reason: notReady(stats),
    started: iso(stats.startedMs),
    deaths: {
      received: stats.received,
      reported: stats.reported,
      filtered: stats.filtered,
      aggregated: stats.aggregated,
      summaries: stats.summaries,
      duplicates: stats.duplicates,
      pending: stats.pending,
      lost: lostByStage(stats),
    },
    bad_lines: stats.badLines,
    metric_overflows: metrics?.overflows ?? 0,
    queue: queueOf(stats, Date.now()),
    export: {
      logs: {
        ...exportOf(logs),
        next_attempt: iso(logs?.nextAttemptMs ?? null),
      },
      traces: { ...exportOf(traces), dropped: traces?.dropped ?? 0 },
      metrics: exportOf(metrics),
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

/** null: the signal is not sent. */
function exportOf(state: ExportState | null): object {
  if (state === null) return { target: null, last_success: null, last_error: null, last_failure: null, rejected: 0 };
  const { target, lastSuccessMs, lastFailure, rejected } = state;
  return {
    target: { protocol: target.protocol, endpoint: withoutCredentials(target.endpoint) },
    last_success: iso(lastSuccessMs),
    last_error: lastFailure && describeFailure(lastFailure),
    last_failure: lastFailure && { kind: lastFailure.kind, status: lastFailure.status, message: lastFailure.message },
    rejected,
  };
}

function queueOf(stats: Stats, nowMs: number): unknown {
  const { queue } = stats;
  if (queue === null) return null;
  const oldestMs = queue.oldestMs();
  return {
    path: queue.path,
    size: stats.pending,
    bytes: stats.queueBytes,
    bytes_max: queue.bytesMax,
    oldest_age_s: oldestMs === null ? null : Math.max(0, nowMs - oldestMs) / 1000,
    error: stats.queueError,
    evicted: stats.evicted,
    damaged: stats.damaged,
    rejected: {
      count: stats.rejected,
      last: queue.lastRejections(REJECTIONS_SHOWN).map(({ timeMs, count, reason, record }) => ({
        time: iso(timeMs),
        count,
        reason,
        ...(record === null ? { uid: null, body: null } : shownOf(record)),
      })),
    },
  };
}

/** Which record it is, and its body for people. null: its bytes are not a record. */
function shownOf(record: Uint8Array): { uid: string | null; body: string | null } {
  try {
    const { attributes, body } = readRecord(record);
    return { uid: String(attributes[LOG_RECORD_UID]), body: String(body ?? '') };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { uid: null, body: null };
  }
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
