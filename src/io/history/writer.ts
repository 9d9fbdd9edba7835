// SPDX-License-Identifier: Apache-2.0
// Keeps each record that is reported, once it is in the queue or before it is printed, and what the collector answered. It never keeps a record
// from being delivered: what the disk does not take is left out and counted. docs/decisions/0101 has the reasons.
import { closeSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { HistoryLimits } from '../../config/kinds.ts';
import { ENTRY_BYTES, Hashes } from '../../core/history/index-entry.ts';
import type { HistorySnapshot } from '../../core/snapshots.ts';
import { readRecord } from '../../core/telemetry/stored.ts';
import type { Log } from '../log.ts';
import type { Row } from '../queue/tables.ts';
import type { Answer } from './segment-reader.ts';
import { type Segment, SegmentSet } from './segment-set.ts';
import { type Kept, SegmentWriter } from './segment-writer.ts';
import { historyDirectory, openToAppend, pathOf, type SegmentName } from './segments.ts';
import { requireSpace } from './space.ts';

/** The bytes of a segment: a part of all, so that little more than the oldest records go. */
const SEGMENT_SHARE = 32;
const SEGMENT_BYTES_MIN = 64 * 1024;
const SEGMENT_BYTES_MAX = 4 * 1024 * 1024;
/** A segment has the records of at most this time, so that it ends when its records are old enough. */
const SEGMENT_MS_MAX = 86_400_000;
/** After a failure, and between two looks at the free space. */
const RETRY_MS = 10_000;
const SPACE_CHECK_MS = 1_000;
const EXPIRY_CHECK_MS = 3_600_000;
/** The last records are on disk so long after they were written; a loss of power costs those of this time. */
const SYNC_MS = 1_000;
/** The last records of the previous run: the loader sends again what was not acknowledged. */
const LAST_UIDS_MAX = 1_024;

export interface HistoryOptions {
  /** WHODUNIT_STATE_DIR. */
  readonly directory: string;
  readonly limits: HistoryLimits;
  /** Where the records are sent, for people. */
  readonly endpoint: string;
  readonly log: Log;
}

/** A record to keep. */
export interface HistoryItem extends Kept {
  readonly uid: string;
}

/** The collector's answer for records of the queue. */
export interface Settled {
  readonly ids: readonly number[];
  readonly state: Answer['state'];
  readonly reason?: string;
}

/** The segment that takes records. */
interface Current {
  readonly writer: SegmentWriter;
  readonly segment: Segment;
  readonly openedMs: number;
}

export class History {
  readonly #options: HistoryOptions;
  readonly #directory: string;
  readonly #hashes = new Hashes();
  /** null: the directory could not be used yet. */
  #segments: SegmentSet | null = null;
  #current: Current | null = null;
  #lastUids: ReadonlySet<string> = new Set();
  #retryMs = 0;
  #spaceCheckMs = Number.NEGATIVE_INFINITY;
  #error: string | null = null;
  #missed = 0;
  #unsynced: NodeJS.Timeout | null = null;
  readonly #expiry: NodeJS.Timeout;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#directory = historyDirectory(options.directory);
    this.#attempt(() => this.#open());
    this.#expiry = setInterval(() => this.#attempt(() => this.#expire()), EXPIRY_CHECK_MS);
    this.#expiry.unref();
  }

  snapshot(): HistorySnapshot {
    return {
      path: this.#directory,
      error: this.#error,
      records: this.#segments?.records ?? 0,
      bytes: this.#segments?.bytes ?? 0,
      bytesMax: this.#options.limits.bytes,
      missed: this.#missed,
    };
  }

  /** The last id of the queue whose record is kept; 0: none is. */
  get lastQueueId(): number {
    return this.#segments?.lastQueueId ?? 0;
  }

  /** `firstQueueId`: the queue's id of the first record, those of the others follow; 0: they are not sent. */
  append(items: readonly HistoryItem[], firstQueueId: number): void {
    // The queue remembers the uids of what it has.
    const fresh = firstQueueId > 0 ? items : items.filter(({ uid }) => !this.#lastUids.has(uid));
    if (fresh.length === 0) return;
    if (!this.#attempt(() => this.#write(fresh, firstQueueId))) this.#missed += fresh.length;
  }

  /** Adds records that the previous run stored in the queue before it was killed. `rows`: by their ids. */
  catchUp(rows: readonly Row[]): void {
    for (const { id, origin, record } of rows) if (isRecord(record)) this.append([{ uid: '', origin, record }], id);
  }

  settled({ ids, state, reason }: Settled): void {
    const { endpoint } = this.#options;
    const same = { state, atMs: Date.now(), endpoint, ...(reason === undefined ? {} : { reason }) };
    this.#attempt(() => {
      for (const { segment, from, to } of this.#segments?.rangesOf(ids) ?? []) {
        const answer: Answer = { from, to, ...same };
        const line = `${JSON.stringify(answer)}\n`;
        const fd = openToAppend(pathOf(this.#directory, segment.name, 'delivery'));
        try {
          writeSync(fd, line);
        } finally {
          closeSync(fd);
        }
        segment.bytes += line.length;
      }
    });
  }

  close(): void {
    clearInterval(this.#expiry);
    if (this.#unsynced !== null) clearTimeout(this.#unsynced);
    this.#attempt(() => this.#closeCurrent());
  }

  /** False: the file system refused; the reason is logged. */
  #attempt(work: () => void): boolean {
    if (performance.now() < this.#retryMs) return false;
    try {
      work();
    } catch (error) {
      this.#failed(error as NodeJS.ErrnoException);
      return false;
    }
    if (this.#error !== null) this.#options.log.line(`The history ${this.#directory} is kept again.`);
    this.#error = null;
    return true;
  }

  #open(): SegmentSet {
    const segments = new SegmentSet(this.#directory, this.#options.limits);
    this.#lastUids = segments.lastUids(LAST_UIDS_MAX);
    this.#segments = segments;
    return segments;
  }

  #write(items: readonly HistoryItem[], firstQueueId: number): void {
    const segments = this.#segments ?? this.#open();
    this.#requireSpace();
    const { writer, segment } = this.#currentFor(firstQueueId, segments);
    const before = writer.bytes;
    writer.append(items, this.#hashes);
    segment.count = writer.count;
    segment.bytes += writer.bytes - before;
    segment.maxNs = writer.maxNs;
    for (const { origin, record } of items) {
      const key = this.#hashes.key(origin);
      segment.held?.set(key, (segment.held.get(key) ?? 0) + record.length + ENTRY_BYTES);
    }
    if (segments.bytes > this.#options.limits.bytes) segments.evict(segment, this.#segmentBytes);
    this.#unsynced ??= setTimeout(() => void this.#sync(segment.name), SYNC_MS).unref();
  }

  #currentFor(firstQueueId: number, segments: SegmentSet): Current {
    const current = this.#current;
    if (current !== null && this.#takes(current, firstQueueId)) return current;
    this.#closeCurrent();
    segments.expire(null);
    const name = segments.nextName();
    const writer = new SegmentWriter(this.#directory, name, firstQueueId);
    const segment: Segment = { name, firstQueueId, count: 0, bytes: writer.bytes, maxNs: 0n, held: new Map() };
    segments.add(segment);
    this.#current = { writer, segment, openedMs: Date.now() };
    return this.#current;
  }

  /** Whether the segment takes a record with this id of the queue: its records have consecutive ids, or none. */
  #takes({ writer, openedMs }: Current, firstQueueId: number): boolean {
    const next = writer.firstQueueId === 0 ? 0 : writer.firstQueueId + writer.count;
    return next === firstQueueId && writer.bytes < this.#segmentBytes && this.#isRecent(openedMs);
  }

  #isRecent(openedMs: number): boolean {
    return Math.abs(Date.now() - openedMs) < Math.min(SEGMENT_MS_MAX, this.#options.limits.ageMs);
  }

  get #segmentBytes(): number {
    const share = this.#options.limits.bytes / SEGMENT_SHARE;
    return Math.min(Math.max(share, SEGMENT_BYTES_MIN), SEGMENT_BYTES_MAX);
  }

  #closeCurrent(): void {
    const current = this.#current;
    this.#current = null;
    current?.writer.close();
  }

  #expire(): void {
    if (this.#current !== null && !this.#isRecent(this.#current.openedMs)) this.#closeCurrent();
    this.#segments?.expire(this.#current?.segment ?? null);
  }

  #requireSpace(): void {
    const now = performance.now();
    if (now - this.#spaceCheckMs < SPACE_CHECK_MS) return;
    requireSpace(this.#directory);
    this.#spaceCheckMs = now;
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === undefined) throw error;
    this.#retryMs = performance.now() + RETRY_MS;
    try {
      this.#closeCurrent();
    } catch {
      // The disk fails, as was reported.
    }
    // The directory may have been replaced.
    this.#segments = null;
    const { what, remedy } = diagnose(error);
    const message = `The history ${this.#directory} ${what}: ${remedy}. Until then, records are not kept in it; they are sent or printed all the same.`;
    if (message !== this.#error) this.#options.log.line(message, 'error');
    this.#error = message;
  }

  /** Writes the last records through to the disk, without waiting. A failure costs them only if the power fails, too. */
  async #sync(name: SegmentName): Promise<void> {
    this.#unsynced = null;
    for (const path of [...SYNCED.map((part) => pathOf(this.#directory, name, part)), this.#directory]) {
      try {
        const file = await open(path, 'r');
        await file.datasync().finally(() => file.close());
      } catch {
        // The segment was removed or copied, or the disk fails: the next write reports that.
      }
    }
  }
}

/** Rows of the queue may be damaged. */
function isRecord(bytes: Uint8Array): boolean {
  try {
    readRecord(bytes);
    return true;
  } catch {
    return false;
  }
}

const SYNCED = ['records', 'index'] as const;

function diagnose({ code = '', message }: NodeJS.ErrnoException): { what: string; remedy: string } {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return {
        what: 'does not grow because its disk is full',
        remedy: 'free some space, or set WHODUNIT_HISTORY to less or to off',
      };
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return {
        what: `cannot be written (${code})`,
        remedy: 'make its directory writable for the user of the service, or set WHODUNIT_HISTORY to off',
      };
    default:
      return {
        what: `cannot be used (${message})`,
        remedy: 'check WHODUNIT_STATE_DIR, and the kernel log for disk errors',
      };
  }
}
