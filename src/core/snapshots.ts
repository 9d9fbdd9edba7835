// SPDX-License-Identifier: Apache-2.0
// What each stage of the service says of itself, for /status and the metrics.
import type { Unread } from './cgroup/use.ts';
import type { Counters } from './counters.ts';
import type { LogsState, MetricsState, PageState, TracesState } from './delivery/export-state.ts';
import type { Hello, LoaderStatus } from './wire/event.ts';
import type { Exceeded } from './words/shares.ts';

/** The connection to the loader. */
export interface LoaderSnapshot {
  readonly connected: boolean;
  /** The last hello. null: none yet. */
  readonly hello: Hello | null;
  /** The loader's own counters. null: not received yet. */
  readonly status: LoaderStatus | null;
  /** Why there is no connection. null: connected, or not tried yet. */
  readonly error: string | null;
  /** Lines that could not be read, and how many of them carried a termination. */
  readonly badLines: number;
  readonly badTerminations: number;
}

/** The disk queue. Its counters are among `Counters`. */
export interface QueueSnapshot {
  readonly path: string;
  readonly bytes: number;
  readonly bytesMax: number;
  /** Termination time of the oldest queued record, ms since 1970. null: the queue is empty. */
  readonly oldestMs: number | null;
  /** Why the queue cannot be written. null: it can. */
  readonly error: string | null;
}

/** The records that stay on this machine. */
export interface HistorySnapshot {
  readonly path: string;
  readonly records: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** Records that the disk did not take, since the service started. */
  readonly missed: number;
  /** Why it cannot be written. null: it can. */
  readonly error: string | null;
}

/** The records on stdout. */
export interface PrinterSnapshot {
  readonly printed: number;
  /** Sent but not printed, because the reader was too slow. */
  readonly skipped: number;
  /** Text that the kernel has not taken yet. */
  readonly waitingBytes: number;
  /** Why stdout cannot be written. null: it can. */
  readonly error: string | null;
}

/** What Docker or Podman say about containers. */
export interface ContainersSnapshot {
  /** Of the socket. */
  readonly path: string;
  readonly connected: boolean;
  /** Containers that have a name now. */
  readonly known: number;
  /** Those that were forgotten while they existed, for lack of room. */
  readonly forgotten: number;
  /** Requests, and connections for events, that failed. */
  readonly failures: number;
  /** Containers and events that could not be read. */
  readonly unreadable: number;
  /** The last failure since containers were listed. */
  readonly error: string | null;
}

/** A mute in effect (core/filter/mutes.ts). */
export interface MuteSnapshot {
  readonly service: string;
  readonly untilMs: number;
  /** Terminations that were only counted because of it. */
  readonly count: number;
}

export interface ServiceSnapshot {
  readonly startedMs: number;
  readonly counters: Counters;
  readonly duplicates: number;
  readonly falseClaims: number;
  /** The limits at which an origin lost something, because it held most. */
  readonly exceeded: readonly Exceeded[];
  readonly loader: LoaderSnapshot;
  /** null: no runtime is asked. */
  readonly containers: ContainersSnapshot | null;
  /** Cgroups that ran out of memory: how many were read, and why others were not. null: they are not visible. */
  readonly outOfMemory: Readonly<Record<'read' | Unread, number>> | null;
  /** null: records are not sent, so there is no queue. */
  readonly queue: QueueSnapshot | null;
  /** null: it is off. */
  readonly history: HistorySnapshot | null;
  readonly mutes: readonly MuteSnapshot[];
  /** null: records are not printed. */
  readonly printer: PrinterSnapshot | null;
  /** null: the signal is not sent. */
  readonly exports: {
    readonly logs: LogsState | null;
    readonly metrics: MetricsState | null;
    readonly traces: TracesState | null;
    /** null: no Prometheus scrapes them. */
    readonly page: PageState | null;
  };
}

/** `count` records that the collector rejected. `record` null: the collector did not say which, or the record is too long. */
export interface RecentRejection {
  readonly timeMs: number;
  readonly count: number;
  readonly reason: string;
  readonly record: Uint8Array | null;
}
