// SPDX-License-Identifier: Apache-2.0
// The tables of the disk queue, and the one way to write them: rows and counters in the same transaction, so that the sum
// (docs/architecture.md) holds whatever is killed. It gets over a damaged file and a full disk. Which rows wait, and in which order,
// is left to queue.ts.
import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { DiskError } from '../../core/errors.ts';
import type { StoredAggregate } from '../../core/filter/aggregate.ts';
import type { Log } from '../log.ts';
import type { Stats } from '../stats.ts';
import { isDamage, openQueueFile, queuePath, replaceDamaged, replaceEmpty, SQLITE, sqliteCode } from './queue-file.ts';

/** Refusals that are kept for people; older ones are only counted. Of a longer record only the reason is kept. */
export const REJECTED_MAX = 1_000;
const REJECTED_RECORD_BYTES_MAX = 65_536;
/** What a row costs besides its record, bytes. */
export const ROW_BYTES = 64;
/** A file that has been larger than this is made small again when nothing waits. */
const LARGE_BYTES = 32 * 1024 * 1024;
/** A file that fills its disk and holds nothing is worth to be made anew from this size on. */
const WORTH_REMOVING_BYTES = 1024 * 1024;

/** One record that waits. Ids grow. */
export interface Row {
  readonly id: number;
  /** When the process ended, ms since 1970. */
  readonly endedMs: number;
  readonly record: Uint8Array;
}

/** `count` records that the collector refused; `record` null: it did not say which, or it is too long. */
export interface Rejection {
  readonly count: number;
  readonly reason: string;
  readonly record: Uint8Array | null;
}

/** A wait that outlives the service: asked for by this target, until then (ms since 1970). */
export interface Retry {
  readonly target: string;
  readonly untilMs: number;
}

/** The row of counters. received + summaries = reported + filtered + aggregated + rejected + evicted + damaged + queued. */
export interface Totals {
  received: number;
  reported: number;
  filtered: number;
  /** Deaths that got no record of their own, and the summaries that tell of them. */
  aggregated: number;
  summaries: number;
  rejected: number;
  evicted: number;
  damaged: number;
  /** Records that wait, and what they cost. */
  queued: number;
  bytes: number;
  /** The last keys of `records` and `commits`; the latter counts deaths. */
  lastId: number;
  lastCommit: number;
  retry: Retry | null;
  /** What is aggregated and in no summary yet. */
  open: readonly StoredAggregate[];
}

const NONE: Totals = {
  received: 0,
  reported: 0,
  filtered: 0,
  aggregated: 0,
  summaries: 0,
  rejected: 0,
  evicted: 0,
  damaged: 0,
  queued: 0,
  bytes: 0,
  lastId: 0,
  lastCommit: 0,
  retry: null,
  open: [],
};

/** What is true already and is written with the next transaction: rows up to an id went, other rows went, refusals came. */
export interface Owed {
  readonly through?: number;
  readonly gone?: readonly number[];
  readonly rejections?: readonly Rejection[];
}

export type Statements = ReturnType<typeof prepare>;

export interface LedgerOptions {
  readonly directory: string;
  readonly stats: Stats;
  readonly log: Log;
  /** The waiting rows that are in memory: put into a new file when the old one is damaged. */
  readonly inMemory: () => readonly Row[];
}

export class Ledger {
  readonly #options: LedgerOptions;
  #db: DatabaseSync;
  #sql: Statements;
  /** How to get a file again, where the last attempt failed. */
  #broken: (() => DatabaseSync) | null = null;
  #durable = true;
  #large = true;
  #totals: Totals;
  #owed: Required<Owed> = { through: 0, gone: [], rejections: [] };
  /** All waiting rows have this id at least. */
  readonly firstId: number;

  /** Throws a FatalError where the directory cannot be used or is used by another service. */
  constructor(options: LedgerOptions) {
    this.#options = options;
    const { db, replaced } = openQueueFile(options.directory, options.log);
    this.#db = db;
    this.#sql = prepare(db);
    const row = this.#sql.totals.get() as { json: string; crc: number } | undefined;
    const known = row !== undefined && crc32(row.json) === row.crc;
    this.#totals = known ? readTotals(row.json) : { ...NONE };
    this.firstId = this.#readKeys();
    // A new file has no counters yet, and nothing to count.
    if (replaced || (row !== undefined && !known)) this.#recount(known);
    this.#tell();
  }

  get path(): string {
    return queuePath(this.#options.directory);
  }

  get totals(): Readonly<Totals> {
    return this.#totals;
  }

  /**
   * Runs `work` on a copy of the totals, in a transaction that also writes what is owed; then the copy holds. `durable`: it survives a
   * loss of power. Throws a DiskError, and then nothing of it is written: the same call may be made again.
   */
  commit(durable: boolean, work: (totals: Totals, sql: Statements) => void): void {
    for (let attempt = 0; ; attempt += 1) {
      try {
        if (this.#broken !== null) this.#recover(this.#broken);
        this.#transaction(durable, work);
        return;
      } catch (error) {
        const code = sqliteCode(error);
        if (code === 0) throw error;
        if (attempt === 0 && isDamage(error)) this.#replace(error as Error);
        else if (attempt === 0 && code === SQLITE.FULL && this.#fillsDiskInVain()) this.#broken = this.#emptyFile;
        else throw this.#diskError(error as Error);
      }
    }
  }

  /** Something is true already, whether the disk takes it or not: it is written now, or with a later transaction. */
  owe(change: (totals: Totals) => void, { through = 0, gone = [], rejections = [] }: Owed = {}): void {
    change(this.#totals);
    this.#owed = {
      through: Math.max(through, this.#owed.through),
      gone: [...this.#owed.gone, ...gone],
      rejections: [...this.#owed.rejections, ...rejections].slice(-REJECTED_MAX),
    };
    this.#tell();
    try {
      this.commit(false, () => {});
      this.#shrink();
    } catch (error) {
      // Until it is written the worst is that records are sent twice, under the same uid.
      if (!(error instanceof DiskError)) throw error;
    }
  }

  /** Reads; undefined where the file cannot be read. A damaged one is replaced for the next attempt. */
  read<T>(work: (sql: Statements) => T): T | undefined {
    if (this.#broken !== null) return undefined;
    try {
      return work(this.#sql);
    } catch (error) {
      if (sqliteCode(error) === 0) throw error;
      if (isDamage(error)) this.#replace(error as Error);
      else this.#diskError(error as Error);
      return undefined;
    }
  }

  /** Writes what is owed and closes the file. What waits stays in it. */
  close(): void {
    if (!this.#db.isOpen) return;
    this.owe(() => {});
    if (this.#db.isOpen) this.#db.close();
  }

  #transaction(durable: boolean, work: (totals: Totals, sql: Statements) => void): void {
    if (durable !== this.#durable) {
      // Not durable where no death is acknowledged for it: who is killed loses nothing, and what a loss of power undoes happens again.
      this.#db.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`);
      this.#durable = durable;
    }
    const sql = this.#sql;
    const totals = { ...this.#totals };
    sql.begin.run();
    try {
      this.#writeOwed(sql);
      work(totals, sql);
      const json = JSON.stringify(totals);
      sql.saveTotals.run(json, crc32(json));
      sql.commit.run();
    } catch (error) {
      if (this.#db.isTransaction) sql.rollback.run();
      throw error;
    }
    this.#owed = { through: 0, gone: [], rejections: [] };
    this.#totals = totals;
    this.#options.stats.queueError = null;
    this.#options.log.over('queue');
    this.#tell();
  }

  #writeOwed(sql: Statements): void {
    const { through, gone, rejections } = this.#owed;
    if (through > 0) sql.deleteThrough.run(through);
    for (const id of gone) sql.deleteBetween.run(id - 1, id);
    for (const { count, reason, record } of rejections) {
      const kept = record !== null && record.length <= REJECTED_RECORD_BYTES_MAX ? record : null;
      sql.reject.run(Date.now(), count, reason, kept);
    }
    if (rejections.length > 0) sql.pruneRejected.run(REJECTED_MAX);
  }

  #replace(why: Error): void {
    const { directory, log } = this.#options;
    this.#broken = () => replaceDamaged(directory, why.message, log);
    this.owe(() => {});
  }

  #anyFile = (): DatabaseSync => openQueueFile(this.#options.directory, this.#options.log).db;
  #emptyFile = (): DatabaseSync => replaceEmpty(this.#options.directory);

  /** The disk is full of a file that holds nothing, and there is no room to write even that. */
  #fillsDiskInVain(): boolean {
    if (this.#totals.queued > 0) return false;
    const sizes = ['', '-wal'].map((suffix) => statSync(`${this.path}${suffix}`, { throwIfNoEntry: false })?.size ?? 0);
    return sizes.some((size) => size >= WORTH_REMOVING_BYTES);
  }

  /** Gets a file again and puts the rows in it that are in memory. What is then missing is lost, and counted. */
  #recover(open: () => DatabaseSync): void {
    if (this.#db.isOpen) this.#db.close();
    try {
      this.#db = open();
    } catch (error) {
      this.#broken = this.#anyFile;
      throw Object.assign(error as Error, { errcode: sqliteCode(error) || SQLITE.IOERR });
    }
    this.#broken = this.#anyFile;
    const sql = prepare(this.#db);
    this.#sql = sql;
    this.#durable = true;
    sql.begin.run();
    this.#writeOwed(sql);
    for (const { id, endedMs, record } of this.#options.inMemory())
      sql.restore.run(id, endedMs, checksum(endedMs, record), record);
    sql.commit.run();
    this.#owed = { through: 0, gone: [], rejections: [] };
    this.#broken = null;
    this.#recount(true);
    this.#tell();
  }

  /** Makes the counters those of the rows that are there. `known`: of what is missing they tell the number. */
  #recount(known: boolean): void {
    const totals = this.#totals;
    const { count, bytes } = this.#sql.measure.get(ROW_BYTES) as { count: number; bytes: number };
    const missing = totals.queued - count;
    if (known && missing > 0) totals.damaged += missing;
    else totals.received -= missing;
    [totals.queued, totals.bytes] = [count, bytes];
    this.#readKeys();
    if (known) return;
    const { log } = this.#options;
    log.line(`The counters in ${this.path} were damaged: they begin anew, and how many records are lost is not known.`);
  }

  /** Makes sure that no key is given twice, whatever became of the counters. Gives the first that a row has. */
  #readKeys(): number {
    const keys = this.#sql.keys.get() as { firstId: number; lastId: number; lastCommit: number };
    this.#totals.lastId = Math.max(this.#totals.lastId, keys.lastId);
    this.#totals.lastCommit = Math.max(this.#totals.lastCommit, keys.lastCommit);
    return keys.firstId;
  }

  #shrink(): void {
    this.#large ||= this.#totals.bytes > LARGE_BYTES;
    if (!this.#large || this.#totals.queued > 0) return;
    this.#large = false;
    const size = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    if (size > LARGE_BYTES) this.read(() => this.#db.exec('VACUUM'));
  }

  #diskError(error: Error): DiskError {
    const code = sqliteCode(error);
    const { stats, log } = this.#options;
    const [kind, what, remedy] =
      code === SQLITE.FULL
        ? ([
            'DISK_FULL',
            'cannot grow, its disk is full',
            'make room, or set WHODUNIT_STATE_DIR to another disk',
          ] as const)
        : code === SQLITE.READONLY || code === SQLITE.CANTOPEN
          ? ([
              'DISK_READ_ONLY',
              `cannot be written (${error.message})`,
              'make its directory writable for this user',
            ] as const)
          : (['DISK_FAILED', `cannot be used (${error.message})`, 'see what the kernel says of its disk'] as const);
    stats.queueError = `The queue ${this.path} ${what}: ${remedy}. Deaths wait in the ring of the kernel meanwhile.`;
    log.seldom('queue', stats.queueError);
    return new DiskError(kind, stats.queueError);
  }

  #tell(): void {
    const { queued: pending, bytes: queueBytes, ...totals } = this.#totals;
    const { received, reported, filtered, aggregated, summaries, rejected, evicted, damaged } = totals;
    const deaths = { received, reported, filtered, aggregated, summaries, rejected, evicted, damaged };
    Object.assign(this.#options.stats, { ...deaths, pending, queueBytes });
  }
}

/** Reads the counters. Version 0.1.0 wrote `filtered` as `screened` and `aggregated` as `folded`. */
function readTotals(json: string): Totals {
  const { screened, folded, ...written } = JSON.parse(json) as Partial<Totals> & { screened?: number; folded?: number };
  return { ...NONE, filtered: screened ?? 0, aggregated: folded ?? 0, ...written };
}

/** Of all that a row tells. SQLite checks how its pages hang together, not what is in them. */
export function checksum(endedMs: number, record: Uint8Array): number {
  return crc32(record, crc32(String(endedMs)));
}

function prepare(db: DatabaseSync) {
  const sql = (text: string) => db.prepare(text);
  return {
    begin: sql('BEGIN IMMEDIATE'),
    commit: sql('COMMIT'),
    rollback: sql('ROLLBACK'),
    insert: sql('INSERT INTO records (id, ended_ms, crc, record) VALUES (?, ?, ?, ?)'),
    restore: sql('INSERT OR IGNORE INTO records (id, ended_ms, crc, record) VALUES (?, ?, ?, ?)'),
    after: sql('SELECT id, ended_ms AS endedMs, crc, record FROM records WHERE id > ? ORDER BY id'),
    deleteThrough: sql('DELETE FROM records WHERE id <= ?'),
    deleteBetween: sql('DELETE FROM records WHERE id > ? AND id <= ?'),
    measure: sql('SELECT count(*) AS count, coalesce(sum(length(record) + ?), 0) AS bytes FROM records'),
    keys: sql(
      `SELECT (SELECT coalesce(min(id), 1) FROM records) AS firstId, (SELECT coalesce(max(id), 0) FROM records) AS lastId,
        (SELECT coalesce(max(id), 0) FROM commits) AS lastCommit`,
    ),
    insertCommit: sql('INSERT OR REPLACE INTO commits (id, uids) VALUES (?, ?)'),
    pruneCommits: sql('DELETE FROM commits WHERE id <= ?'),
    commits: sql('SELECT uids FROM commits ORDER BY id'),
    reject: sql('INSERT INTO rejected (time_ms, count, reason, record) VALUES (?, ?, ?, ?)'),
    pruneRejected: sql('DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?'),
    rejected: sql('SELECT time_ms AS timeMs, count, reason, record FROM rejected ORDER BY id DESC LIMIT ?'),
    totals: sql('SELECT json, crc FROM totals'),
    saveTotals: sql('INSERT OR REPLACE INTO totals (one, json, crc) VALUES (1, ?, ?)'),
  };
}
