// SPDX-License-Identifier: Apache-2.0
// The file of terminations without a record of their own, beside the segments of the history (core/history/unreported.ts has its lines). The
// service appends to it at most once a second, keeps none of it in memory, and rewrites it when it is twice as large as what is kept.
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Counted,
  countLine,
  LastUnreported,
  type Row,
  rowLine,
  UNREPORTED_BYTES_MAX,
  type Unreported,
  uidOf,
} from '../../core/history/unreported.ts';
import type { Log } from '../log.ts';
import { historyDirectory, openNew, openToAppend, readIfThere } from './segments.ts';
import { requireSpace } from './space.ts';

const FILE = 'unreported';
const FILE_BYTES_MAX = 2 * UNREPORTED_BYTES_MAX;
/** A termination is in the file so long after it was handled. */
const WRITE_MS = 1_000;
/** More of them are written at once. They hold all that is known of a process. */
const PENDING_MAX = 1_000;
const EXPIRY_CHECK_MS = 3_600_000;
const MS = 1_000_000n;

export function unreportedPath(stateDirectory: string): string {
  return join(historyDirectory(stateDirectory), FILE);
}

export interface UnreportedOptions {
  /** WHODUNIT_STATE_DIR. */
  readonly directory: string;
  /** Older ones go. */
  readonly ageMs: number;
  /** WHODUNIT_ARGUMENTS is not off. */
  readonly withArguments: boolean;
  readonly log: Log;
}

export class UnreportedFile {
  readonly #options: UnreportedOptions;
  readonly #path: string;
  readonly #expiry: NodeJS.Timeout;
  #pending: (Row | Counted)[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(options: UnreportedOptions) {
    this.#options = options;
    this.#path = unreportedPath(options.directory);
    this.#attempt(() => this.#expire());
    this.#expiry = setInterval(() => this.#attempt(() => this.#expire()), EXPIRY_CHECK_MS).unref();
  }

  add(one: Row | Counted): void {
    this.#pending.push(one);
    if (this.#pending.length >= PENDING_MAX) this.#write();
    else this.#timer ??= setTimeout(() => this.#write(), WRITE_MS).unref();
  }

  close(): void {
    clearInterval(this.#expiry);
    this.#write();
  }

  #write(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const pending = this.#pending;
    this.#pending = [];
    if (pending.length === 0) return;
    const { directory, withArguments } = this.#options;
    const lines = pending.map((one) => ('counted' in one ? countLine(one) : rowLine(one, withArguments)));
    this.#attempt(() => {
      requireSpace(historyDirectory(directory));
      if (append(this.#path, `${lines.join('\n')}\n`) > FILE_BYTES_MAX) this.#rewrite(0n);
    });
  }

  /** Removes what is too old, if there is any: the first line is the oldest. */
  #expire(): void {
    const oldestNs = BigInt(Date.now() - this.#options.ageMs) * MS;
    const first = new LastUnreported();
    first.add(firstLine(this.#path));
    const [oldest] = first.rows();
    if (oldest !== undefined && oldest.timeNs < oldestNs) this.#rewrite(oldestNs);
  }

  /** In one step, so that a reader finds all or nothing. */
  #rewrite(sinceNs: bigint): void {
    const lines = readLast(this.#path, sinceNs).lines();
    const unfinished = `${this.#path}.new`;
    rmSync(unfinished, { force: true });
    const fd = openNew(unfinished);
    try {
      writeAll(fd, lines.map((line) => `${line}\n`).join(''));
    } finally {
      closeSync(fd);
    }
    renameSync(unfinished, this.#path);
  }

  /** What the disk does not take is left out: the counters have it. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      this.#options.log.rateLimited(
        'unreported',
        `${this.#path} cannot be written (${message}): \`whodunit filters test\` does not know the last terminations without a record. They are counted all the same.`,
      );
    }
  }
}

/** Oldest first. Empty: there are none yet. Throws the error of the file system. */
export function readUnreported(stateDirectory: string): readonly Unreported[] {
  return readLast(unreportedPath(stateDirectory)).rows();
}

/** The file may be rewritten meanwhile. */
const ROUNDS_MAX = 5;

/** Overwrites rows in place, while the service appends or not. Returns how many. Throws the error of the file system. */
export function eraseUnreported(stateDirectory: string, isGone: (row: Unreported) => boolean): number {
  const path = unreportedPath(stateDirectory);
  const gone = new Set<string>();
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const found = readLast(path)
      .rows()
      .filter((row) => isGone(row));
    if (found.length === 0) break;
    for (const { uid } of found) gone.add(uid);
    erase(path, gone);
  }
  return gone.size;
}

function erase(path: string, uids: ReadonlySet<string>): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    let offset = 0;
    for (const line of readFileSync(fd, 'utf8').split('\n')) {
      const bytes = Buffer.byteLength(line);
      if (uids.has(uidOf(line) ?? '')) writeSync(fd, Buffer.alloc(bytes, ' '), 0, bytes, offset);
      offset += bytes + 1;
    }
  } finally {
    closeSync(fd);
  }
}

function readLast(path: string, sinceNs = 0n): LastUnreported {
  const last = new LastUnreported(sinceNs);
  for (const line of readIfThere(path).split('\n')) last.add(line);
  return last;
}

const LINE_BYTES_MAX = 65_536;

function firstLine(path: string): string {
  return readIfThere(path, LINE_BYTES_MAX).split('\n')[0] ?? '';
}

/** Returns the size of the file. */
function append(path: string, text: string): number {
  const fd = openToAppend(path);
  try {
    writeAll(fd, text);
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}

/** A full disk takes only a part of a write. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
}
