// SPDX-License-Identifier: Apache-2.0
// The disk queue. Terminations are on disk before they are acknowledged to the loader, and records stay there until the collector has
// accepted or rejected them. First in, first out. Limited in bytes: if it is full, the oldest records of the origin that holds most are
// dropped and counted. ledger.ts makes the transactions and keeps the counters; deliver.ts sends.
import { isDeepStrictEqual } from 'node:util';
import { type Countable, count } from '../../core/counters.ts';
import type { KernelCounts } from '../../core/kernel-counts.ts';
import type { Displaced, OriginKey } from '../../core/shares.ts';
import type { QueueSnapshot, RecentRejection } from '../../core/snapshots.ts';
import { costOf, type Evicted, Eviction } from './eviction.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import type { Open } from './open-rows.ts';
import { bytesOfUids, rangesOf, uidOf } from './rows.ts';
import { checksum, type Rejection, type Row, type Statements } from './tables.ts';
import type { Retry, Totals } from './totals.ts';

/** Terminations whose duplicates are recognised after a restart: about as many as a full ring buffer of 8 MiB holds. */
export const UIDS_MAX = 16_384;
/** Encoded records that are also kept in memory, so that they need not be read again. Further ones are only on disk. */
export const WINDOW_BYTES_MAX = 8 * 1024 * 1024;

/** A new termination, or a summary or restart. `record` null: it is only counted, and its uid is stored. */
export interface Item extends Countable {
  readonly uid: string;
  /** When the process terminated, ms since 1970. */
  readonly endedMs: number;
  readonly origin: OriginKey;
}

/** Records that are not to be sent: the uid of each, by its id. */
export type Purged = ReadonlyMap<number, string>;

export interface QueueOptions extends Omit<LedgerOptions, 'inMemory' | 'onReplaced'> {
  readonly bytesMax: number;
}

export class Queue {
  readonly #options: QueueOptions;
  readonly #ledger: Ledger;
  /** The rows after `#taken`, without a gap. `#more`: further rows are only on disk. */
  #window: Row[] = [];
  #windowBytes = 0;
  #more: boolean;
  /** The id of the last row that was taken, and the taken rows that are not settled yet, in order. */
  #taken: number;
  #inFlight: readonly Row[] = [];
  readonly #eviction = new Eviction();

  /** Throws a FatalError if the directory cannot be used or is used by another service. */
  constructor(options: QueueOptions) {
    this.#options = options;
    this.#ledger = new Ledger({
      ...options,
      inMemory: () => [...this.#inFlight, ...this.#window],
      onReplaced: () => this.#eviction.forget(),
    });
    this.#taken = this.#ledger.firstId - 1;
    this.#more = this.pending > 0;
  }

  get path(): string {
    return this.#ledger.path;
  }

  get totals(): Readonly<Totals> {
    return this.#ledger.totals;
  }

  /** Records that were dropped because the queue was full. */
  get displaced(): Displaced {
    return this.#eviction.displaced;
  }

  snapshot(): QueueSnapshot {
    const { path, error, totals } = this.#ledger;
    return { path, error, bytes: totals.bytes, bytesMax: this.#options.bytesMax, oldestMs: this.#oldestMs() };
  }

  /** Records in the queue, except those in flight. */
  get waiting(): number {
    return this.pending - this.#inFlight.length;
  }

  /** Records in the queue, those in flight included. */
  get pending(): number {
    return this.#ledger.totals.pending;
  }

  get retry(): Retry | null {
    return this.#ledger.totals.retry;
  }

  /** What is not over yet; at start, that of the previous run. */
  get open(): Open {
    return this.#ledger.open;
  }

  /** The uids of the last items, oldest first. */
  uids(): string[] {
    const all: string[] = [];
    this.#ledger.read((sql) => {
      for (const { uids } of sql.commits.iterate() as Iterable<{ uids: Uint8Array }>) {
        const hex = Buffer.from(uids).toString('hex');
        for (let at = 0; at < hex.length; at += 32)
          all.push(hex.slice(at, at + 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'));
      }
    });
    return all.slice(-UIDS_MAX);
  }

  /**
   * Writes new items in one transaction. When it returns they survive a loss of power. Throws a DiskError; then nothing was written, and
   * the same call may be made again. `open`: what is not over yet; null: as before. An object that is on disk is not written again.
   */
  put(items: readonly Item[], open: Open | null = null): void {
    if (items.length === 0 && (open === null || !this.#ledger.lacks(open))) return;
    const rows: Row[] = [];
    let evicted: Evicted | null = null;
    const durable = items.some(({ record, kind }) => record !== null || kind === 'aggregated');
    const write = (totals: Totals, sql: Statements): void => {
      rows.length = 0;
      for (const item of items) {
        const { record, endedMs, origin } = item;
        count(totals, item, 'pending');
        if (record === null) continue;
        totals.lastId += 1;
        totals.bytes += costOf(record);
        sql.insert.run(totals.lastId, endedMs, checksum(endedMs, record), record, origin);
        rows.push({ id: totals.lastId, endedMs, record, origin });
      }
      totals.lastCommit += items.length;
      if (items.length > 0) sql.insertCommit.run(totals.lastCommit, bytesOfUids(items));
      sql.pruneCommits.run(totals.lastCommit - UIDS_MAX);
      const { bytesMax } = this.#options;
      evicted = totals.bytes > bytesMax ? this.#eviction.run(totals, sql, bytesMax, this.#taken, rows) : null;
    };
    this.#ledger.commit(durable, write, open);
    this.#committed(rows, evicted);
  }

  /**
   * Takes the next records in order, within these limits but at least one; they are in flight until settled, beside those that were
   * taken before. Empty if the queue is empty or the disk cannot be read.
   */
  take(recordsMax: number, bytesMax: number): readonly Row[] {
    if (this.#window.length === 0 && this.#more) this.#readAhead();
    const rows: Row[] = [];
    let bytes = 0;
    for (let row = this.#window[0]; row !== undefined && rows.length < recordsMax; row = this.#window[0]) {
      bytes += row.record.length;
      if (rows.length > 0 && bytes > bytesMax) break;
      rows.push(row);
      this.#shift();
    }
    this.#inFlight = [...this.#inFlight, ...rows];
    this.#taken = rows.at(-1)?.id ?? this.#taken;
    return rows;
  }

  /** Settles records in flight, by default all: these were rejected permanently, the others accepted. */
  settle(rejections: readonly Rejection[], rows: readonly Row[] = this.#inFlight): void {
    const rejected = rejections.reduce((sum, { count }) => sum + count, 0);
    const settled = new Set(rows);
    const deleted = rangesOf(this.#inFlight, settled);
    this.#inFlight = this.#inFlight.filter((row) => !settled.has(row));
    this.#eviction.removed(rows);
    const change = (totals: Totals): void => {
      totals.reported += rows.length - rejected;
      totals.rejected += rejected;
      totals.pending -= rows.length;
      for (const { record } of rows) totals.bytes -= costOf(record);
      totals.retry = null;
    };
    this.#ledger.defer(change, { deleted, rejections });
  }

  /** Removes records, whose uids must be these, and counts them. Not during a request with one of them. Returns the rows. */
  purge(wanted: Purged): readonly Row[] {
    const inMemory = new Map([...this.#inFlight, ...this.#window].map((row) => [row.id, row]));
    const rows = [...wanted].flatMap(([id, uid]) => {
      const row = inMemory.get(id) ?? this.after(id - 1, 1).find((one) => one.id === id);
      return row !== undefined && uidOf(row) === uid ? [row] : [];
    });
    if (rows.length === 0) return [];
    const ids = new Set(rows.map(({ id }) => id));
    this.#inFlight = this.#inFlight.filter(({ id }) => !ids.has(id));
    this.#leaveOut(ids);
    this.#eviction.removed(rows);
    const change = (totals: Totals): void => {
      totals.purged += rows.length;
      totals.pending -= rows.length;
      for (const { record } of rows) totals.bytes -= costOf(record);
    };
    this.#ledger.defer(change, { deleted: rows.map(({ id }) => ({ after: id - 1, through: id })) });
    return rows;
  }

  /** Stores a wait that the target asked for, for the next start. */
  postpone(retry: Retry): void {
    this.#ledger.defer((totals) => {
      totals.retry = retry;
    });
  }

  /** Stores what the metrics exported, so that the next start does not export it again. */
  rememberExported(exported: KernelCounts): void {
    if (isDeepStrictEqual(exported, this.totals.exported)) return;
    this.#ledger.defer((totals) => {
      totals.exported = exported;
    });
  }

  /** When the process of the oldest record terminated, ms since 1970. Null if the queue is empty or the disk cannot be read. */
  #oldestMs(): number | null {
    const [first] = [...this.#inFlight.slice(0, 1), ...this.#window.slice(0, 1)];
    if (first !== undefined) return first.endedMs;
    if (this.pending === 0) return null;
    return this.#ledger.read((sql) => (sql.after.get(this.#taken) as Row | undefined)?.endedMs) ?? null;
  }

  /** The queued records after this id, oldest first, at most `limit`. Empty if there are none or the disk cannot be read. */
  after(id: number, limit: number): readonly Row[] {
    return this.#ledger.read((sql) => sql.firstAfter.all(id, limit) as unknown as Row[]) ?? [];
  }

  /** Newest first. Empty if there are none or the disk cannot be read. */
  lastRejections(limit: number): RecentRejection[] {
    return this.#ledger.read((sql) => sql.rejected.all(limit) as unknown as RecentRejection[]) ?? [];
  }

  /** Closes the file. Queued records stay in it. */
  close(): void {
    this.#ledger.close();
  }

  /** Updates the memory when a transaction is on disk. */
  #committed(rows: readonly Row[], evicted: Evicted | null): void {
    for (const row of rows) this.#toWindow(row);
    this.#eviction.committed(rows, evicted);
    if (evicted === null || evicted.origins.size === 0) return;
    this.#leaveOut(evicted.origins);
    this.#logEviction();
  }

  #leaveOut(ids: { has(id: number): boolean }): void {
    this.#window = this.#window.filter(({ id }) => !ids.has(id));
    this.#windowBytes = this.#window.reduce((sum, { record }) => sum + costOf(record), 0);
  }

  #logEviction(): void {
    const { log, bytesMax } = this.#options;
    const { evicted } = this.#ledger.totals;
    log.rateLimited(
      'queue evicts',
      `The queue ${this.path} is full (${bytesMax} bytes): the oldest records of the origin that holds most of it are dropped, ${evicted} so far. Run a collector that accepts records, or raise WHODUNIT_QUEUE_BYTES.`,
    );
  }

  #toWindow(row: Row): void {
    if (this.#more || this.#windowBytes + costOf(row.record) > WINDOW_BYTES_MAX) {
      this.#more = true;
      return;
    }
    this.#window.push(row);
    this.#windowBytes += costOf(row.record);
  }

  #shift(): void {
    const row = this.#window.shift();
    if (row !== undefined) this.#windowBytes -= costOf(row.record);
  }

  /** Fills the empty window from disk. Rows that are missing or fail their checksum are counted as lost. */
  #readAhead(): void {
    const window: Row[] = [];
    const bad: Row[] = [];
    let more = false;
    const read = this.#ledger.read((sql) => {
      let bytes = 0;
      for (const { crc, ...row } of sql.after.iterate(this.#taken) as Iterable<Row & { crc: number }>) {
        if (bytes >= WINDOW_BYTES_MAX) {
          more = true;
          break;
        }
        bytes += costOf(row.record);
        (checksum(row.endedMs, row.record) === crc ? window : bad).push(row);
      }
      return true;
    });
    if (read !== true) return;
    [this.#window, this.#more] = [window, more];
    this.#windowBytes = window.reduce((sum, { record }) => sum + costOf(record), 0);
    const missing = more ? bad.length : this.waiting - window.length;
    if (missing <= 0) return;
    this.#options.log.line(`${missing} damaged records in ${this.path} are dropped and counted as lost.`, 'error');
    const change = (totals: Totals): void => {
      totals.pending -= missing;
      totals.damaged += missing;
      for (const { record } of bad) totals.bytes -= costOf(record);
    };
    this.#eviction.forget();
    this.#ledger.defer(change, { deleted: bad.map(({ id }) => ({ after: id - 1, through: id })) });
  }
}
