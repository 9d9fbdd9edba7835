// SPDX-License-Identifier: Apache-2.0
// The files of the history. A segment is three of them, only ever appended to: `.records` (a line of JSON for each record), `.index`
// (core/history/index-entry.ts) and `.delivery` (a line for each answer of the collector). writer.ts writes them, reader.ts reads them.
import { closeSync, constants, fchmodSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { decodeHeader, ENTRY_BYTES, INDEX_VERSION, Index, type IndexHeader } from '../../core/history/index-entry.ts';

/** Below WHODUNIT_STATE_DIR. */
const DIRECTORY = 'history';
/** The files are for the service's user and group. */
const FILE_MODE = 0o640;
export const DIRECTORY_MODE = 0o750;
const NAME = /^(\d{10})(?:-(\d{1,9}))?\.(records|index|delivery)$/;

/** `copy`: how often the segment was copied, to leave records out; the newest copy counts. */
export interface SegmentName {
  readonly number: number;
  readonly copy: number;
}

export type Part = 'records' | 'index' | 'delivery';
export const PARTS = ['records', 'index', 'delivery'] as const satisfies readonly Part[];

export function historyDirectory(stateDirectory: string): string {
  return join(stateDirectory, DIRECTORY);
}

export function pathOf(directory: string, { number, copy }: SegmentName, part: Part): string {
  return join(directory, `${String(number).padStart(10, '0')}${copy === 0 ? '' : `-${copy}`}.${part}`);
}

export interface Listed {
  /** Oldest first. */
  readonly segments: readonly SegmentName[];
  /** Copies that another one replaced. */
  readonly replaced: readonly SegmentName[];
}

/** Throws the error of the file system. */
export function listSegments(directory: string): Listed {
  const names = new Map<number, number[]>();
  for (const file of readdirSync(directory)) {
    const [, number, copy = '0', part] = NAME.exec(file) ?? [];
    if (part !== 'index') continue;
    const copies = names.get(Number(number)) ?? [];
    names.set(Number(number), [...copies, Number(copy)]);
  }
  const segments: SegmentName[] = [];
  const replaced: SegmentName[] = [];
  for (const [number, copies] of [...names].sort(([a], [b]) => a - b)) {
    const newest = Math.max(...copies);
    segments.push({ number, copy: newest });
    for (const copy of copies) if (copy !== newest) replaced.push({ number, copy });
  }
  return { segments, replaced };
}

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const APPENDED_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;

/** Creates a file. Throws the error of the file system. */
export function openNew(path: string): number {
  return openWith(path, NEW_FILE);
}

/** Opens a file to append to it, and creates it if there is none. Throws the error of the file system. */
export function openToAppend(path: string): number {
  return openWith(path, APPENDED_FILE);
}

/** The group may read it, whatever the umask is. */
function openWith(path: string, flags: number): number {
  const fd = openSync(path, flags, FILE_MODE);
  fchmodSync(fd, FILE_MODE);
  return fd;
}

/** Never waits for another process, and follows no link. */
export function openToRead(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

/** The text of a file, at most so many bytes of it. '': there is no file. */
export function readIfThere(path: string, bytesMax = Number.POSITIVE_INFINITY): string {
  let fd: number;
  try {
    fd = openToRead(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
  try {
    if (bytesMax === Number.POSITIVE_INFINITY) return readFileSync(fd, 'utf8');
    const bytes = Buffer.alloc(bytesMax);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytesMax, 0));
  } finally {
    closeSync(fd);
  }
}

export function readHeader(directory: string, name: SegmentName): IndexHeader | null {
  const fd = openToRead(pathOf(directory, name, 'index'));
  try {
    const bytes = Buffer.alloc(ENTRY_BYTES);
    return readSync(fd, bytes, 0, ENTRY_BYTES, 0) < ENTRY_BYTES ? null : decodeHeader(bytes);
  } finally {
    closeSync(fd);
  }
}

/** The number of records of a segment. */
export function countOf(directory: string, name: SegmentName): number {
  const fd = openToRead(pathOf(directory, name, 'index'));
  try {
    return Math.max(0, Math.floor(fstatSync(fd).size / ENTRY_BYTES) - 1);
  } finally {
    closeSync(fd);
  }
}

/** null: the file is no index, or one of a later version. */
export function readIndex(directory: string, name: SegmentName): Index | null {
  const fd = openToRead(pathOf(directory, name, 'index'));
  try {
    const bytes = readFileSync(fd);
    const header = decodeHeader(bytes);
    return header === null || header.version > INDEX_VERSION ? null : new Index(bytes, header);
  } finally {
    closeSync(fd);
  }
}
