// SPDX-License-Identifier: Apache-2.0
// The rows of the queue's tables, and every statement that reads or writes them. ledger.ts and queue.ts run them; queue-file.ts has the
// schema.
import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { OriginKey } from '../../core/shares.ts';

/** Maximum number of rejections kept with their reason; older ones are only counted. */
export const REJECTED_MAX = 1_000;
/** Longer rejected records are not kept; their reason is. */
const REJECTED_RECORD_BYTES_MAX = 65_536;
/** The overhead of a row, in bytes. */
export const ROW_BYTES = 64;

/** One queued record. Ids increase. */
export interface Row {
  readonly id: number;
  /** When the process terminated, ms since 1970. */
  readonly endedMs: number;
  readonly record: Uint8Array;
  /** Empty: written by version 0.1.0. */
  readonly origin: OriginKey;
}

/** The ids after `after`, through `through`. */
export interface IdRange {
  readonly after: number;
  readonly through: number;
}

/** `count` records that the collector rejected; `record` null: the collector did not say which, or it is too long. */
export interface Rejection {
  readonly count: number;
  readonly reason: string;
  readonly record: Uint8Array | null;
}

/** Deferred changes: they hold in memory and are written in the next transaction. */
export interface DeferredChanges {
  readonly deleted: readonly IdRange[];
  readonly rejections: readonly Rejection[];
}

export type Statements = ReturnType<typeof prepare>;

/** Covers the row but for its origin: SQLite checks the structure of its pages, not their content. */
export function checksum(endedMs: number, record: Uint8Array): number {
  return crc32(record, crc32(String(endedMs)));
}

/** Appends ranges; those that begin at the same id become one. */
export function joinRanges(ranges: readonly IdRange[], more: readonly IdRange[]): IdRange[] {
  const joined = [...ranges];
  for (const range of more) {
    const last = joined.at(-1);
    if (last?.after === range.after)
      joined[joined.length - 1] = { ...last, through: Math.max(last.through, range.through) };
    else joined.push(range);
  }
  return joined;
}

/** Applies deferred changes, inside a transaction. */
export function applyDeferred(sql: Statements, { deleted, rejections }: DeferredChanges): void {
  for (const { after, through } of deleted) sql.deleteBetween.run(after, through);
  for (const { count, reason, record } of rejections) {
    const kept = record !== null && record.length <= REJECTED_RECORD_BYTES_MAX ? record : null;
    sql.reject.run(Date.now(), count, reason, kept);
  }
  if (rejections.length > 0) sql.pruneRejected.run(REJECTED_MAX);
}

export function prepare(db: DatabaseSync) {
  const sql = (text: string) => db.prepare(text);
  return {
    begin: sql('BEGIN IMMEDIATE'),
    commit: sql('COMMIT'),
    rollback: sql('ROLLBACK'),
    insert: sql('INSERT INTO records (id, ended_ms, crc, record, origin) VALUES (?, ?, ?, ?, ?)'),
    restore: sql('INSERT OR IGNORE INTO records (id, ended_ms, crc, record, origin) VALUES (?, ?, ?, ?, ?)'),
    after: sql('SELECT id, ended_ms AS endedMs, crc, record, origin FROM records WHERE id > ? ORDER BY id'),
    firstAfter: sql('SELECT id, ended_ms AS endedMs, record, origin FROM records WHERE id > ? ORDER BY id LIMIT ?'),
    indexOrigins: sql('CREATE INDEX IF NOT EXISTS records_by_origin ON records (origin)'),
    dropOriginIndex: sql('DROP INDEX IF EXISTS records_by_origin'),
    oldestOf: sql('SELECT id, length(record) AS bytes FROM records WHERE origin = ? AND id > ? ORDER BY id LIMIT 1'),
    shares: sql('SELECT origin, sum(length(record) + ?) AS bytes FROM records NOT INDEXED GROUP BY origin'),
    deleteBetween: sql('DELETE FROM records WHERE id > ? AND id <= ?'),
    measure: sql('SELECT count(*) AS count, coalesce(sum(length(record) + ?), 0) AS bytes FROM records'),
    keys: sql(
      `SELECT (SELECT coalesce(min(id), 1) FROM records) AS firstId, (SELECT coalesce(max(id), 0) FROM records) AS lastId,
        (SELECT coalesce(max(id), 0) FROM commits) AS lastCommit`,
    ),
    insertCommit: sql('INSERT OR REPLACE INTO commits (id, uids) VALUES (?, ?)'),
    pruneCommits: sql('DELETE FROM commits WHERE id <= ?'),
    commits: sql('SELECT uids FROM commits ORDER BY id'),
    open: sql('SELECT id, kind, json, crc FROM open ORDER BY id'),
    insertOpen: sql('INSERT INTO open (kind, json, crc) VALUES (?, ?, ?)'),
    restoreOpen: sql('INSERT INTO open (id, kind, json, crc) VALUES (?, ?, ?, ?)'),
    deleteOpen: sql('DELETE FROM open WHERE id = ?'),
    clearOpen: sql('DELETE FROM open'),
    reject: sql('INSERT INTO rejected (time_ms, count, reason, record) VALUES (?, ?, ?, ?)'),
    pruneRejected: sql('DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?'),
    rejected: sql('SELECT time_ms AS timeMs, count, reason, record FROM rejected ORDER BY id DESC LIMIT ?'),
    totals: sql('SELECT json, crc FROM totals'),
    saveTotals: sql('INSERT OR REPLACE INTO totals (one, json, crc) VALUES (1, ?, ?)'),
  };
}
