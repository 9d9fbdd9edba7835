// SPDX-License-Identifier: Apache-2.0
// The disk queue: deaths are on disk before the loader is told that they are safe, and stay there until they are judged. First in,
// first out; bounded in bytes, the oldest go first, counted. Tables, transactions and counters are left to ledger.ts, sending and
// waiting to deliver.ts.
import type { StoredAggregate } from '../../core/filter/aggregate.ts';
import type { QueueState } from '../stats.ts';
import {
  checksum,
  Ledger,
  type LedgerOptions,
  type Rejection,
  type Retry,
  ROW_BYTES,
  type Row,
  type Totals,
} from './ledger.ts';

/** Deaths whose second copy is recognised after a restart: as many as a full ring of 8 MiB holds, or more. */
export const UIDS_MAX = 16_384;
/** Encoded records that are kept in memory as well, so that they need not be read again. What is beyond is on disk alone. */
export const WINDOW_BYTES_MAX = 8 * 1024 * 1024;

/** One new death. `record` null: filtered or aggregated, only to be counted and remembered. Or a record that is no death. */
export interface Item {
  readonly uid: string;
  /** Left out: a death that is reported, or filtered. `summary`: of aggregated ones, or a restart. */
  readonly kind?: 'aggregated' | 'summary';
  /** When the process ended, ms since 1970. */
  readonly endedMs: number;
  readonly record: Uint8Array | null;
}

export interface QueueOptions extends Omit<LedgerOptions, 'inMemory'> {
  readonly bytesMax: number;
}

export class Queue implements QueueState {
  readonly #options: QueueOptions;
  readonly #ledger: Ledger;
  /** Rows from the one after `#taken` on, without a gap; if `#more`, others follow that are on disk alone. */
  #window: Row[] = [];
  #windowBytes = 0;
  #more: boolean;
  /** The last row that was taken, and the rows that are not yet settled. */
  #taken: number;
  #underWay: readonly Row[] = [];

  /** Throws a FatalError where the directory cannot be used or is used by another service. */
  constructor(options: QueueOptions) {
    this.#options = options;
    this.#ledger = new Ledger({ ...options, inMemory: () => [...this.#underWay, ...this.#window] });
    this.#taken = this.#ledger.firstId - 1;
    this.#more = this.#ledger.totals.queued > 0;
  }

  get path(): string {
    return this.#ledger.path;
  }

  get bytesMax(): number {
    return this.#options.bytesMax;
  }

  /** Records that wait and are not under way. */
  get waiting(): number {
    return this.#ledger.totals.queued - this.#underWay.length;
  }

  /** Records in the queue, those under way included. */
  get pending(): number {
    return this.#ledger.totals.queued;
  }

  get retry(): Retry | null {
    return this.#ledger.totals.retry;
  }

  /** What was aggregated and in no summary yet when the service before this one ended. */
  get open(): readonly StoredAggregate[] {
    return this.#ledger.totals.open;
  }

  /** The uids of the deaths that were put last, oldest first. */
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
   * Writes new deaths in one transaction. When it returns they survive a loss of power; when it throws a DiskError nothing of them
   * is written, and the same call may be made again. `open`: what is aggregated and in no summary yet, these deaths included.
   */
  put(items: readonly Item[], open: readonly StoredAggregate[] = this.#ledger.totals.open): void {
    if (items.length === 0) return;
    const rows: Row[] = [];
    let evictedThrough = 0;
    const durable = items.some(({ record, kind }) => record !== null || kind === 'aggregated');
    this.#ledger.commit(durable, (totals, sql) => {
      rows.length = 0;
      totals.open = open;
      for (const { record, endedMs, kind } of items) {
        totals[kind === 'summary' ? 'summaries' : 'received'] += 1;
        if (record === null) {
          totals[kind === 'aggregated' ? 'aggregated' : 'filtered'] += 1;
          continue;
        }
        totals.lastId += 1;
        totals.queued += 1;
        totals.bytes += costOf(record);
        sql.insert.run(totals.lastId, endedMs, checksum(endedMs, record), record);
        rows.push({ id: totals.lastId, endedMs, record });
      }
      totals.lastCommit += items.length;
      sql.insertCommit.run(totals.lastCommit, bytesOfUids(items));
      sql.pruneCommits.run(totals.lastCommit - UIDS_MAX);
      evictedThrough = this.#evict(totals);
      if (evictedThrough > 0) sql.deleteBetween.run(this.#taken, evictedThrough);
    });
    for (const row of rows) this.#toWindow(row);
    while (this.#window[0] !== undefined && this.#window[0].id <= evictedThrough) this.#shift();
    if (evictedThrough > 0) this.#tellOfEviction();
  }

  /**
   * The next records in order, at most so many and so many bytes (but one at least); they are under way until settled. Empty where
   * nothing waits, or the disk cannot be read at the moment.
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
    this.#underWay = rows;
    this.#taken = rows.at(-1)?.id ?? this.#taken;
    return rows;
  }

  /** All that is under way was judged: these were refused for good, the others accepted. It is on disk as soon as the disk takes it. */
  settle(rejections: readonly Rejection[]): void {
    const rows = this.#underWay;
    const refused = rejections.reduce((sum, { count }) => sum + count, 0);
    this.#underWay = [];
    const change = (totals: Totals): void => {
      totals.reported += rows.length - refused;
      totals.rejected += refused;
      totals.queued -= rows.length;
      for (const { record } of rows) totals.bytes -= costOf(record);
      totals.retry = null;
    };
    this.#ledger.owe(change, { through: this.#taken, rejections });
  }

  /** The target asked for a wait: kept for the next start. */
  postpone(retry: Retry): void {
    this.#ledger.owe((totals) => {
      totals.retry = retry;
    });
  }

  /** When the process of the oldest waiting record ended, ms since 1970; null: none waits, or it cannot be read. */
  oldestMs(): number | null {
    const [first] = [...this.#underWay.slice(0, 1), ...this.#window.slice(0, 1)];
    if (first !== undefined) return first.endedMs;
    if (this.#ledger.totals.queued === 0) return null;
    return this.#ledger.read((sql) => (sql.after.get(this.#taken) as Row | undefined)?.endedMs) ?? null;
  }

  /** The refusals that are kept, newest first. */
  lastRejections(limit: number): (Rejection & { timeMs: number })[] {
    const read = this.#ledger.read((sql) => sql.rejected.all(limit) as unknown as (Rejection & { timeMs: number })[]);
    return read ?? [];
  }

  /** Closes the file. What waits stays in it. */
  close(): void {
    this.#ledger.close();
  }

  /** Makes room in the totals: the oldest that is not under way goes first. Gives the id of the last that goes, 0 if none does. */
  #evict(totals: Totals): number {
    let through = this.#taken;
    while (totals.bytes > this.bytesMax) {
      const row = this.#ledger.read((sql) => sql.after.get(through) as Row | undefined);
      if (row === undefined) break;
      through = row.id;
      totals.queued -= 1;
      totals.evicted += 1;
      totals.bytes -= costOf(row.record);
    }
    return through === this.#taken ? 0 : through;
  }

  #tellOfEviction(): void {
    const { log, bytesMax, stats } = this.#options;
    log.seldom(
      'queue evicts',
      `The queue ${this.path} is full (WHODUNIT_QUEUE_BYTES, ${bytesMax}): its oldest records are lost, ${stats.evicted} so far. Bring the collector back, or raise the limit.`,
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

  /** Fills the empty window from disk. A row that is missing, or is not what was written, is lost, and counted. */
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
    this.#options.log.line(`${missing} records in ${this.path} were damaged; they are lost, and counted.`);
    const change = (totals: Totals): void => {
      totals.queued -= missing;
      totals.damaged += missing;
      for (const { record } of bad) totals.bytes -= costOf(record);
    };
    this.#ledger.owe(change, { gone: bad.map(({ id }) => id) });
  }
}

function costOf(record: Uint8Array): number {
  return record.length + ROW_BYTES;
}

/** 16 bytes each. */
function bytesOfUids(items: readonly Item[]): Uint8Array {
  return Buffer.from(items.map(({ uid }) => uid.replaceAll('-', '')).join(''), 'hex');
}
