// SPDX-License-Identifier: Apache-2.0
// All writes to the disk queue: rows and counters change in the same transaction, so the counters add up (core/counters.ts) whichever
// process is killed, and when. It recovers from a damaged file and from a full disk. queue.ts decides which rows are stored and sent.
import { existsSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { DiskError } from '../../core/errors.ts';
import type { Log } from '../log.ts';
import { type Open, type OpenChanges, OpenRows } from './open-rows.ts';
import { openQueueFile, queuePath, replaceDamaged, replaceEmpty, restoreRemoved } from './queue-file.ts';
import { isDamage, SQLITE, sqliteCode } from './sqlite-codes.ts';
import {
  applyDeferred,
  checksum,
  type DeferredChanges,
  joinRanges,
  prepare,
  REJECTED_MAX,
  ROW_BYTES,
  type Row,
  type Statements,
} from './tables.ts';
import { noTotals, readTotals, type Totals, writeTotals } from './totals.ts';

/** A file that has been larger than this is compacted when the queue is empty. */
const LARGE_BYTES = 32 * 1024 * 1024;
/** On a full disk, the file of an empty queue is removed if it has at least this size. */
const WORTH_REMOVING_BYTES = 1024 * 1024;

const NOTHING_DEFERRED: DeferredChanges = { deleted: [], rejections: [] };

export interface LedgerOptions {
  readonly directory: string;
  readonly log: Log;
  /** Returns the queued rows that are in memory: they are written to the new file when the old one is damaged. */
  readonly inMemory: () => readonly Row[];
  /** Called when the file was replaced: rows that were only on disk may be missing. */
  readonly onReplaced: () => void;
}

export class Ledger {
  readonly #options: LedgerOptions;
  #db: DatabaseSync;
  #sql: Statements;
  /** How to get a usable file again after a failure; null: the file is usable. */
  #reopen: (() => DatabaseSync) | null = null;
  #durable = true;
  #large = true;
  /** Evicted records when the queue was empty last. */
  #evicted = -1;
  readonly #open = new OpenRows();
  #totals: Totals;
  #deferred = NOTHING_DEFERRED;
  #error: string | null = null;
  /** No queued row has a smaller id. */
  readonly firstId: number;

  /** Throws a FatalError if the directory cannot be used or is used by another service. */
  constructor(options: LedgerOptions) {
    this.#options = options;
    const { db, replaced } = openQueueFile(options.directory, options.log);
    this.#db = db;
    this.#sql = prepare(db);
    const row = this.#sql.totals.get() as { json: string; crc: number } | undefined;
    const known = row !== undefined && crc32(row.json) === row.crc;
    this.#totals = known ? readTotals(row.json) : noTotals();
    this.#open.read(this.#sql);
    this.firstId = this.#readKeys();
    // A new file has no counters yet, and nothing to count.
    if (replaced || (row !== undefined && !known)) this.#recount(known);
  }

  get path(): string {
    return queuePath(this.#options.directory);
  }

  get totals(): Readonly<Totals> {
    return this.#totals;
  }

  /** What is not over yet. */
  get open(): Open {
    const { open, ...values } = this.#open.values;
    return { open: [...this.#totals.open, ...open], ...values };
  }

  /** Whether it must be written without items. */
  lacks(open: Open): boolean {
    return this.#open.lacks(open);
  }

  /** Why the file cannot be written; null: it can. */
  get error(): string | null {
    return this.#error;
  }

  /**
   * Runs `work` on a copy of the totals, in a transaction that also applies the deferred changes; on success the copy replaces the totals.
   * `durable`: it survives a loss of power. `open`: what is not over yet; null: as before. Throws a DiskError; then nothing was written, and
   * the same call may be made again.
   */
  commit(durable: boolean, work: (totals: Totals, sql: Statements) => void, open: Open | null = null): void {
    for (let attempt = 0; ; attempt += 1) {
      try {
        if (this.#reopen !== null) this.#recover(this.#reopen);
        else if (!existsSync(this.path)) this.#restore();
        this.#transaction(durable, work, open);
        return;
      } catch (error) {
        const code = sqliteCode(error);
        if (code === 0) throw error;
        if (attempt === 0 && isDamage(error)) this.#replace(error as Error);
        else if (attempt === 0 && code === SQLITE.FULL && this.#emptyFileFillsDisk()) this.#reopen = this.#emptyFile;
        else throw this.#diskError(error as Error);
      }
    }
  }

  /** Applies a change to the totals at once. It is written now or, if the disk fails, in a later transaction. */
  defer(change: (totals: Totals) => void, rows: Partial<DeferredChanges> = {}): void {
    const { deleted, rejections } = { ...NOTHING_DEFERRED, ...rows };
    change(this.#totals);
    this.#deferred = {
      deleted: joinRanges(this.#deferred.deleted, deleted),
      rejections: [...this.#deferred.rejections, ...rejections].slice(-REJECTED_MAX),
    };
    try {
      this.commit(false, () => {});
      this.#compact();
    } catch (error) {
      // At worst it is never written, and records are sent twice, under the same uid.
      if (!(error instanceof DiskError)) throw error;
    }
  }

  /** Reads; returns undefined if the file cannot be read or is closed. A damaged file is replaced before the next attempt. */
  read<T>(work: (sql: Statements) => T): T | undefined {
    if (this.#reopen !== null || !this.#db.isOpen) return undefined;
    try {
      return work(this.#sql);
    } catch (error) {
      if (sqliteCode(error) === 0) throw error;
      if (isDamage(error)) this.#replace(error as Error);
      else this.#diskError(error as Error);
      return undefined;
    }
  }

  /** Applies deferred changes and closes the file. Queued records stay in it. */
  close(): void {
    if (!this.#db.isOpen) return;
    this.defer(() => {});
    if (this.#db.isOpen) this.#db.close();
  }

  #transaction(durable: boolean, work: (totals: Totals, sql: Statements) => void, open: Open | null): void {
    if (durable !== this.#durable) {
      // NORMAL only if no termination is acknowledged because of this transaction: a kill loses nothing, and after a loss of power the
      // work is repeated.
      this.#db.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`);
      this.#durable = durable;
    }
    const sql = this.#sql;
    const totals = { ...this.#totals, ...(open === null ? {} : { open: [] }) };
    let changes: OpenChanges | null = null;
    sql.begin.run();
    try {
      applyDeferred(sql, this.#deferred);
      work(totals, sql);
      if (open !== null) changes = this.#open.write(sql, open);
      const json = writeTotals(totals);
      sql.saveTotals.run(json, crc32(json));
      sql.commit.run();
    } catch (error) {
      if (this.#db.isTransaction) sql.rollback.run();
      throw error;
    }
    if (changes !== null) this.#open.committed(changes);
    this.#deferred = NOTHING_DEFERRED;
    this.#totals = totals;
    this.#error = null;
    this.#options.log.reset('queue');
  }

  #replace(why: Error): void {
    const { directory, log } = this.#options;
    this.#reopen = () => replaceDamaged(directory, why.message, log);
    this.defer(() => {});
  }

  /** The file was removed. Its rows are there as long as it is open. */
  #restore(): void {
    const { directory, log } = this.#options;
    this.#db = orDiskError(() => restoreRemoved(this.#db, directory));
    [this.#sql, this.#durable] = [prepare(this.#db), true];
    log.line(`The queue ${this.path} was removed. It is written again, and none of its records is lost.`, 'warn');
  }

  #anyFile = (): DatabaseSync => openQueueFile(this.#options.directory, this.#options.log).db;
  #emptyFile = (): DatabaseSync => replaceEmpty(this.#options.directory);

  /** The queue is empty, but its file leaves no space on the full disk to record that. */
  #emptyFileFillsDisk(): boolean {
    if (this.#totals.pending > 0) return false;
    const sizes = ['', '-wal'].map((suffix) => statSync(`${this.path}${suffix}`, { throwIfNoEntry: false })?.size ?? 0);
    return sizes.some((size) => size >= WORTH_REMOVING_BYTES);
  }

  /** Opens a usable file and writes the rows that are in memory to it. Rows that are then missing are counted as lost. */
  #recover(open: () => DatabaseSync): void {
    if (this.#db.isOpen) this.#db.close();
    this.#reopen = this.#anyFile;
    this.#db = orDiskError(open);
    const sql = prepare(this.#db);
    this.#sql = sql;
    this.#durable = true;
    sql.begin.run();
    applyDeferred(sql, this.#deferred);
    for (const { id, endedMs, record, origin } of this.#options.inMemory())
      sql.restore.run(id, endedMs, checksum(endedMs, record), record, origin);
    this.#open.restore(sql);
    sql.commit.run();
    this.#deferred = NOTHING_DEFERRED;
    this.#reopen = null;
    this.#recount(true);
    this.#options.onReplaced();
  }

  /** Makes the counters match the rows in the file. `known`: the counters are intact, so they show how many rows are missing. */
  #recount(known: boolean): void {
    const totals = this.#totals;
    const { count, bytes } = this.#sql.measure.get(ROW_BYTES) as { count: number; bytes: number };
    const missing = totals.pending - count;
    if (known && missing > 0) totals.damaged += missing;
    else totals.received -= missing;
    [totals.pending, totals.bytes] = [count, bytes];
    this.#readKeys();
    if (known) return;
    this.#options.log.line(
      `The counters in ${this.path} were damaged: they start again at 0. The number of lost records is not known.`,
      'error',
    );
  }

  /** Ensures that no key is used twice, even if the counters were lost. Returns the first key of a row. */
  #readKeys(): number {
    const keys = this.#sql.keys.get() as { firstId: number; lastId: number; lastCommit: number };
    this.#totals.lastId = Math.max(this.#totals.lastId, keys.lastId);
    this.#totals.lastCommit = Math.max(this.#totals.lastCommit, keys.lastCommit);
    return keys.firstId;
  }

  #compact(): void {
    const { bytes, pending, evicted } = this.#totals;
    this.#large ||= bytes > LARGE_BYTES;
    if (pending > 0) return;
    if (evicted !== this.#evicted) this.read((sql) => sql.dropOriginIndex.run());
    this.#evicted = evicted;
    if (!this.#large) return;
    this.#large = false;
    const size = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    if (size > LARGE_BYTES) this.read(() => this.#db.exec('VACUUM'));
  }

  #diskError(error: Error): DiskError {
    const { kind, what, remedy } = diagnoseDisk(error);
    const message = `The queue ${this.path} ${what}: ${remedy}. Until then, terminations wait in the kernel's ring buffer.`;
    this.#error = message;
    this.#options.log.rateLimited('queue', message, 'error');
    return new DiskError(kind, message);
  }
}

function orDiskError(open: () => DatabaseSync): DatabaseSync {
  try {
    return open();
  } catch (error) {
    throw Object.assign(error as Error, { errcode: sqliteCode(error) || SQLITE.IOERR });
  }
}

function diagnoseDisk(error: Error): { kind: DiskError['code']; what: string; remedy: string } {
  switch (sqliteCode(error)) {
    case SQLITE.FULL:
      return {
        kind: 'DISK_FULL',
        what: 'cannot grow because its disk is full',
        remedy: 'free some space, or set WHODUNIT_STATE_DIR to a directory on another disk',
      };
    case SQLITE.READONLY:
    case SQLITE.CANTOPEN:
      return {
        kind: 'DISK_READ_ONLY',
        what: `cannot be written (${error.message})`,
        remedy: 'make its directory writable for the user of the service',
      };
    default:
      return {
        kind: 'DISK_FAILED',
        what: `cannot be used (${error.message})`,
        remedy: 'check the kernel log for disk errors',
      };
  }
}
