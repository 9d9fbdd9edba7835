// SPDX-License-Identifier: Apache-2.0
// The file of the disk queue: private, locked against a second service, and checked at start. A damaged file is set aside, and its readable
// rows are copied to a new one. ledger.ts makes the transactions.
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FatalError } from '../../core/errors.ts';
import type { Log } from '../log.ts';
import { isDamage, SQLITE, sqliteCode } from './sqlite-codes.ts';

const FILE = 'queue.db';
/** The version of the tables below. A file of a later version is refused. */
const SCHEMA_VERSION = 1;
const PAGE_BYTES = 8_192;
/** Offset of the number of pages in the header (SQLite's database file format, 1.3); 0: SQLite uses the file size. */
const HEAD_PAGE_COUNT_AT = 28;
/** Damaged files that are kept for inspection. */
const DAMAGED_FILES_MAX = 3;
/** Maximum number of rows that are read one by one after a damaged page. */
const SALVAGE_ROWS_MAX = 2_000_000;

// `records`: records to send, oldest first; `crc` covers the row without its origin. `commits`: the uids of each transaction's items. `rejected`: records that
// the collector rejected permanently. `totals`: one row with all counters.
const SCHEMA = `
  CREATE TABLE records (id INTEGER PRIMARY KEY, ended_ms REAL NOT NULL, crc INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
  CREATE TABLE commits (id INTEGER PRIMARY KEY, uids BLOB NOT NULL) STRICT;
  CREATE TABLE rejected (id INTEGER PRIMARY KEY, time_ms REAL NOT NULL, count INTEGER NOT NULL, reason TEXT NOT NULL, record BLOB) STRICT;
  CREATE TABLE totals (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};`;

// What was added after version 0.1.0, which reads and writes such a file: so the version is the same. `open`: what is not over yet, one row
// for each value (open-rows.ts). A full queue has an index, too (eviction.ts).
const ADD_ORIGIN = "ALTER TABLE records ADD COLUMN origin TEXT NOT NULL DEFAULT '';";
const ADD_OPEN =
  'CREATE TABLE open (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, json TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;';

const TABLES = ['totals', 'commits', 'rejected', 'open', 'records'] as const;

export function queuePath(directory: string): string {
  return join(directory, FILE);
}

/**
 * Opens the queue's file, exclusively. A damaged file is replaced by a new one with its readable rows, under their ids. Throws a
 * FatalError if the directory cannot be used, or another service uses it.
 */
export function openQueueFile(directory: string, log: Log): { db: DatabaseSync; replaced: boolean } {
  prepareDirectory(directory);
  const path = queuePath(directory);
  try {
    return { db: openChecked(path), replaced: false };
  } catch (error) {
    if (error instanceof FatalError) throw error;
    if (sqliteCode(error) === SQLITE.BUSY) {
      throw new FatalError(
        'STATE_DIR_TAKEN',
        `Another whodunit uses the queue in ${directory}: stop it, or set WHODUNIT_STATE_DIR to another directory.`,
      );
    }
    if (!isDamage(error)) throw unusable(directory, (error as Error).message);
    return { db: replaceDamaged(directory, (error as Error).message, log), replaced: true };
  }
}

/** Sets the file aside and returns a new one with the readable rows of the old one. The old one must be closed. */
export function replaceDamaged(directory: string, why: string, log: Log): DatabaseSync {
  const path = queuePath(directory);
  const aside = join(directory, `queue.damaged-${new Date().toISOString().replaceAll(':', '')}.db`);
  renameSync(path, aside);
  for (const suffix of ['-wal', '-journal']) {
    try {
      renameSync(`${path}${suffix}`, `${aside}${suffix}`);
    } catch {
      // There is none.
    }
  }
  const fresh = openChecked(path);
  const saved = salvage(aside, fresh);
  log.line(
    `The queue ${path} was damaged (${why}). It is kept as ${aside}; ${saved} of its records could be read and will be sent.`,
    'warn',
  );
  const old = readdirSync(directory).filter((name) => /^queue\.damaged-.*\.db$/.test(name));
  for (const name of old.sort().slice(0, -DAMAGED_FILES_MAX))
    for (const suffix of ['', '-wal', '-journal', '-head'])
      rmSync(join(directory, `${name}${suffix}`), { force: true });
  return fresh;
}

/** Removes the file and returns an empty one. For an empty queue on a disk without space to record that. */
export function replaceEmpty(directory: string): DatabaseSync {
  for (const suffix of ['', '-wal', '-journal']) rmSync(`${queuePath(directory)}${suffix}`, { force: true });
  return openChecked(queuePath(directory));
}

/** Writes the rows of a file that was removed to a new one of its name, and returns it. The old one is closed. */
export function restoreRemoved(removed: DatabaseSync, directory: string): DatabaseSync {
  const path = queuePath(directory);
  const unfinished = `${path}.new`;
  prepareDirectory(directory);
  rmSync(unfinished, { force: true });
  // SQLite makes no file with another mode.
  closeSync(openSync(unfinished, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600));
  removed.prepare('VACUUM INTO ?').run(unfinished);
  // Before the new one has the name: closing removes the log of that name.
  removed.close();
  renameSync(unfinished, path);
  return openChecked(path);
}

function prepareDirectory(directory: string): void {
  try {
    // The history in it is for the group, too.
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable(directory, (error as NodeJS.ErrnoException).code ?? String(error));
  }
}

function unusable(directory: string, why: string): FatalError {
  return new FatalError(
    'STATE_DIR_UNUSABLE',
    `The disk queue cannot be kept in ${directory} (${why}): make it a directory that the user of the service may write to, or set WHODUNIT_STATE_DIR to one.`,
  );
}

/** Throws SQLite's own error if the file is damaged or in use. */
function openChecked(path: string): DatabaseSync {
  // SQLite gives its log and journal the mode of the file.
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  chmodSync(path, 0o600);
  const db = new DatabaseSync(path);
  try {
    // Exclusive: the lock is held until the file is closed, and no shared memory is needed.
    db.exec(
      `PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;`,
    );
    db.exec('PRAGMA wal_autocheckpoint = 512; PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = -4096;');
    const { quick_check: verdict } = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string };
    if (verdict !== 'ok') throw Object.assign(new Error(verdict), { errcode: SQLITE.CORRUPT });
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
    if (version > SCHEMA_VERSION) {
      throw new FatalError(
        'QUEUE_VERSION',
        `${path} was written by a later release of whodunit (version ${version}; this release reads ${SCHEMA_VERSION}): install that release, or move the file away.`,
      );
    }
    const missing = [
      version === 0 ? SCHEMA : '',
      columnsOf(db, 'records').includes('origin') ? '' : ADD_ORIGIN,
      columnsOf(db, 'open').length > 0 ? '' : ADD_OPEN,
    ].join('');
    if (missing !== '') db.exec(`BEGIN IMMEDIATE; ${missing} COMMIT;`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Copies readable rows: those before a damaged page in one scan, those after it one by one. Returns the number of records. */
function salvage(from: string, to: DatabaseSync): number {
  let old: DatabaseSync;
  try {
    if (tablesOf(from) !== tablesOf(to)) replaceHead(from);
    old = openDamaged(from);
  } catch {
    return 0;
  }
  let saved = 0;
  to.exec('BEGIN IMMEDIATE');
  try {
    for (const table of TABLES) {
      const copied = copyTable(old, to, table);
      if (table === 'records') saved = copied;
    }
  } finally {
    to.exec('COMMIT');
    old.close();
  }
  return saved;
}

function openDamaged(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  db.enableDefensive(false);
  // Without it, SQLite refuses a file that is shorter than its header says (lockBtree() in btree.c).
  db.exec('PRAGMA writable_schema = ON');
  return db;
}

/** Returns the tables of version 0.1.0 and their first pages; null: the header cannot be read. */
function tablesOf(file: string | DatabaseSync): string | null {
  let db: DatabaseSync | null = null;
  try {
    db = typeof file === 'string' ? openDamaged(file) : file;
    return JSON.stringify(
      db
        .prepare("SELECT name, rootpage, sql FROM sqlite_schema WHERE type = 'table' AND name <> 'open' ORDER BY name")
        .all(),
    );
  } catch {
    return null;
  } finally {
    if (typeof file === 'string') db?.close();
  }
}

/**
 * Replaces a damaged first page by that of an empty file, and keeps the damaged page in a file of its own. The first page lists the tables
 * and their first pages. It is the same in every file of a version: all tables are created at once, and VACUUM keeps their order.
 */
function replaceHead(path: string): void {
  const empty = `${path}-empty`;
  openChecked(empty).close();
  const head = readFileSync(empty).subarray(0, PAGE_BYTES);
  rmSync(empty);
  head.writeUInt32BE(0, HEAD_PAGE_COUNT_AT);
  const file = openSync(path, constants.O_RDWR);
  try {
    const damaged = Buffer.alloc(PAGE_BYTES);
    writeFileSync(`${path}-head`, damaged.subarray(0, readSync(file, damaged, 0, PAGE_BYTES, 0)), { mode: 0o600 });
    writeSync(file, head, 0, PAGE_BYTES, 0);
  } finally {
    closeSync(file);
  }
}

function columnsOf(db: DatabaseSync, table: string): string[] {
  return (db.prepare(`PRAGMA table_info(${table})`).all() as { name: string }[]).map(({ name }) => name);
}

function copyTable(old: DatabaseSync, to: DatabaseSync, table: (typeof TABLES)[number]): number {
  const key = table === 'totals' ? 'one' : 'id';
  // A file of version 0.1.0 has fewer.
  const readable = new Set(columnsOf(old, table));
  const columns = columnsOf(to, table).filter((name) => readable.has(name));
  if (columns.length === 0) return 0;
  const insert = to.prepare(
    `INSERT OR IGNORE INTO ${table} (${columns}) VALUES (${columns.map((name) => `:${name}`)})`,
  );
  let copied = 0;
  let last = 0;
  const keep = (row: unknown): void => {
    const values = row as Record<string, number>;
    try {
      copied += Number(insert.run(values).changes);
      last = values[key] ?? last;
    } catch {
      // A damaged value that the table does not accept.
    }
  };
  try {
    for (const row of old.prepare(`SELECT ${columns} FROM ${table} ORDER BY ${key}`).iterate()) keep(row);
    return copied;
  } catch {
    // Continue with the rows after the damaged page, by their keys.
  }
  try {
    const { end } = old.prepare(`SELECT max(${key}) AS end FROM ${table}`).get() as { end: number };
    const one = old.prepare(`SELECT ${columns} FROM ${table} WHERE ${key} = ?`);
    for (let id = last + 1; id <= Math.min(end, last + SALVAGE_ROWS_MAX); id += 1) {
      try {
        const row = one.get(id);
        if (row !== undefined) keep(row);
      } catch {
        // The row is on a damaged page.
      }
    }
  } catch {
    // Not even the last key can be read.
  }
  return copied;
}
