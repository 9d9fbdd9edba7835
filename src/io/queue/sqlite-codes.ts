// SPDX-License-Identifier: Apache-2.0
// Result codes of SQLite, and which of them mean that the file is damaged. ledger.ts and queue-file.ts decide what follows.

/** Result codes of SQLite (sqlite3.h), the primary ones. */
export const SQLITE = {
  PERM: 3,
  BUSY: 5,
  LOCKED: 6,
  NOMEM: 7,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
} as const;

/** Returns the primary result code of an error of node:sqlite; 0: another error. */
export function sqliteCode(error: unknown): number {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === 'number' ? code & 0xff : 0;
}

/** Codes that are caused by the disk, its permissions or the memory, not by damage to the file. */
const NOT_THE_FILE: ReadonlySet<number> = new Set([
  SQLITE.PERM,
  SQLITE.BUSY,
  SQLITE.LOCKED,
  SQLITE.NOMEM,
  SQLITE.READONLY,
  SQLITE.IOERR,
  SQLITE.FULL,
  SQLITE.CANTOPEN,
]);

/**
 * Whether the file itself is damaged. The statements are always the same and never insert a key twice, so every other code means damage:
 * CORRUPT and NOTADB, CONSTRAINT for a changed key, TOOBIG for a changed length, ERROR for a format that SQLite does not know.
 */
export function isDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return code !== 0 && !NOT_THE_FILE.has(code);
}
