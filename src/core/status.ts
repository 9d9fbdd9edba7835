// SPDX-License-Identifier: Apache-2.0
// Readiness, losses by stage and the body of /status, from the snapshots of the stages. Each stage keeps its own counters.
import { lostIn } from './counters.ts';
import type { ExportState, WaitingRecord } from './delivery/export-state.ts';
import { describeFailure } from './delivery/outcome.ts';
import { withoutCredentials } from './delivery/target.ts';
import type {
  HistorySnapshot,
  LoaderSnapshot,
  PrinterSnapshot,
  RecentRejection,
  ServiceSnapshot,
} from './snapshots.ts';
import { LOG_RECORD_UID, type StageValue } from './telemetry/semconv.ts';
import { readRecord } from './telemetry/stored.ts';
import { isoTime } from './time.ts';
import type { Hello, LoaderStatus } from './wire/event.ts';
import { exceededStatus } from './words/shares.ts';

/** Records of `refused_alone` that /status describes, those that wait longest. */
const SUSPECTS_SHOWN_MAX = 10;

/** Without these probes, terminations would be missed or misattributed. The others only add facts. */
const REQUIRED_PROBES: ReadonlySet<string> = new Set(['sched_process_exit', 'signal_generate', 'signal_deliver']);

/** Why the service is not ready: no termination would be reported right now. null: it is ready. */
export function notReady({ connected, hello, error }: LoaderSnapshot): string | null {
  if (!connected || hello === null) return error ?? 'not yet connected to the loader';
  if (hello.role !== 'consumer') return error ?? 'the loader has not yet given this service the role of the consumer';
  return missingProbe(hello)?.text ?? null;
}

/** The first required probe that is not attached, and why. null: all are attached. */
export function missingProbe(hello: Hello): { readonly name: string; readonly text: string } | null {
  const missing = (name: string, why: string) => ({ name, text: `probe ${name} is not attached: ${why}` });
  if (!hello.probes.some(({ name, attached }) => name === 'sched_process_exit' && attached)) {
    const listed = hello.probes.find(({ name }) => name === 'sched_process_exit');
    return missing('sched_process_exit', listed?.note ?? 'not listed');
  }
  const probe = hello.probes.find(({ name, attached }) => REQUIRED_PROBES.has(name) && !attached);
  return probe === undefined ? null : missing(probe.name, probe.note ?? 'no reason given');
}

/** Terminations lost, by stage. Without `memory_full`: it loses facts, not terminations. */
export function lostByStage({ loader, counters }: ServiceSnapshot): Record<StageValue, number> {
  const lost = loader.status?.lost;
  return {
    kernel: lost === undefined ? 0 : Number(lost.ring_full + lost.missed),
    loader: (lost === undefined ? 0 : Number(lost.undecodable)) + loader.badTerminations,
    queue: lostIn(counters, 'queue'),
    export: lostIn(counters, 'export'),
  };
}

/** The body of /status. */
export function statusOf(snapshot: ServiceSnapshot, rejections: readonly RecentRejection[], nowMs: number): object {
  const { startedMs, counters, duplicates, falseClaims, loader, exports } = snapshot;
  const { received, reported, filtered, aggregated, summaries, pending } = counters;
  const reason = notReady(loader);
  return {
    ready: reason === null,
    reason,
    started: iso(startedMs),
    deaths: {
      received,
      reported,
      filtered,
      aggregated,
      summaries,
      duplicates,
      pending,
      lost: lostByStage(snapshot),
    },
    bad_lines: loader.badLines,
    false_claims: falseClaims,
    metric_overflows: (exports.metrics ?? exports.page)?.overflows ?? 0,
    limits: snapshot.exceeded.map(exceededStatus),
    queue: queueOf(snapshot, rejections, nowMs),
    history: historyOf(snapshot.history),
    mutes: snapshot.mutes.map(({ service, untilMs, count }) => ({ service, until: iso(untilMs), count })),
    stdout: stdoutOf(snapshot.printer),
    export: {
      logs: {
        ...exportOf(exports.logs),
        next_attempt: iso(exports.logs?.nextAttemptMs ?? null),
        refused_alone: refusedAlone(exports.logs?.suspects ?? []),
      },
      traces: { ...exportOf(exports.traces), dropped: exports.traces?.dropped ?? 0 },
      metrics: exportOf(exports.metrics),
      prometheus: exports.page && { ...exports.page.address, last_scrape: iso(exports.page.lastMs) },
    },
    containers: snapshot.containers,
    out_of_memory: snapshot.outOfMemory,
    loader: loaderOf(loader),
    ring: ringOf(loader.status),
  };
}

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

/** Records that the collector did not accept in a request of their own. They wait, and others go past them. */
function refusedAlone(suspects: readonly WaitingRecord[]): object {
  return {
    count: suspects.length,
    records: suspects.slice(0, SUSPECTS_SHOWN_MAX).map(({ record, sinceMs, attempts, passed, failure }) => ({
      ...shownOf(record),
      since: iso(sinceMs),
      attempts,
      others_accepted: passed,
      reason: describeFailure(failure),
    })),
  };
}

function queueOf({ queue, counters }: ServiceSnapshot, rejections: readonly RecentRejection[], nowMs: number): unknown {
  if (queue === null) return null;
  const { path, bytes, bytesMax, oldestMs, error } = queue;
  return {
    path,
    size: counters.pending,
    bytes,
    bytes_max: bytesMax,
    oldest_age_s: oldestMs === null ? null : Math.max(0, nowMs - oldestMs) / 1000,
    error,
    evicted: counters.evicted,
    purged: counters.purged,
    damaged: counters.damaged,
    rejected: {
      count: counters.rejected,
      last: rejections.map(({ timeMs, count, reason, record }) => ({
        time: iso(timeMs),
        count,
        reason,
        ...(record === null ? UNKNOWN_RECORD : shownOf(record)),
      })),
    },
  };
}

function historyOf(history: HistorySnapshot | null): unknown {
  if (history === null) return null;
  const { path, records, bytes, bytesMax, missed, error } = history;
  return { path, records, bytes, bytes_max: bytesMax, missed, error };
}

function stdoutOf(printer: PrinterSnapshot | null): unknown {
  if (printer === null) return null;
  const { printed, skipped, waitingBytes, error } = printer;
  return { printed, skipped, waiting_bytes: waitingBytes, error };
}

function loaderOf({ hello, connected }: LoaderSnapshot): unknown {
  if (hello === null) return null;
  return {
    connected,
    role: hello.role,
    version: hello.loader_version,
    kernel: hello.kernel_release,
    boot_id: hello.boot_id,
    probes: hello.probes,
    gap: gapOf(hello),
  };
}

/** When no probe was attached before this loader. null: at no time, or that is not known. */
function gapOf({ gap, clock_offset_ns: offsetNs }: Hello): unknown {
  if (gap === null) return null;
  return { from: isoTime(gap.from_ns + offsetNs), to: isoTime(gap.to_ns + offsetNs) };
}

function ringOf(status: LoaderStatus | null): unknown {
  if (status === null) return null;
  return {
    bytes: status.ring_bytes,
    used_bytes: status.ring_used_bytes,
    deaths: Number(status.deaths),
    counted: Number(status.counted),
    exits_normal: Number(status.exits_normal),
    read_seq: String(status.read_seq),
    acked_seq: String(status.acked_seq),
    facts_lost: Number(status.lost.memory_full),
    requests_refused: Number(status.requests_refused),
    programs_unknown: Number(status.programs_unknown),
    lost_by_origin: status.lost_by_origin.map(({ origin, unit, deaths }) => ({
      uid: origin.uid,
      cgroup: String(origin.cgroup),
      unit: unit === '' ? null : unit,
      deaths: Number(deaths),
    })),
    crashes: status.crashes && { captured: Number(status.crashes.captured), no_slot: Number(status.crashes.no_slot) },
  };
}

/** Whose terminations had no room in the ring, in one sentence. null: none was lost there, or an older loader does not say whose. */
export function lossInTheRing({ lost, lost_by_origin: [first], ring_bytes: bytes }: LoaderStatus): string | null {
  if (first === undefined) return null;
  const { origin, unit, deaths } = first;
  const where = unit === '' ? '' : ` in ${unit}`;
  return `${lost.ring_full} terminations were lost, ${deaths} of them of uid ${origin.uid}${where}: its share of the ring buffer was full. Other users and units have shares of their own; WHODUNIT_RING_BYTES (${bytes}) makes all of them larger.`;
}

/** The uid and the body of a record. null: the bytes are not a record. */
function shownOf(record: Uint8Array): { uid: string | null; body: string | null } {
  try {
    const { attributes, body } = readRecord(record);
    return { uid: String(attributes[LOG_RECORD_UID]), body: String(body ?? '') };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return UNKNOWN_RECORD;
  }
}

const UNKNOWN_RECORD = { uid: null, body: null } as const;

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
