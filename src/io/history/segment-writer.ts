// SPDX-License-Identifier: Apache-2.0
// Appends to one new segment, and copies an old one without some of its records. A segment exists once its index does: readers find only
// what is complete. writer.ts decides which.
import { closeSync, copyFileSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { factsOf } from '../../core/history/entry.ts';
import {
  ENTRY_BYTES,
  encodeEntry,
  encodeHeader,
  type Hashes,
  type Index,
  KIND_AT,
  OFFSET_AT,
  OPEN_NS,
} from '../../core/history/index-entry.ts';
import { readRecord } from '../../core/telemetry/stored.ts';
import { openNew, openToRead, PARTS, pathOf, type SegmentName } from './segments.ts';

const LINE_END = Buffer.from('\n');

export interface Kept {
  readonly origin: string;
  readonly record: Uint8Array;
}

export class SegmentWriter {
  readonly name: SegmentName;
  readonly firstQueueId: number;
  readonly #records: number;
  readonly #index: number;
  #count = 0;
  #recordBytes = 0;
  #minNs = 0n;
  #maxNs = 0n;

  /** Creates the files. Throws the error of the file system. */
  constructor(directory: string, name: SegmentName, firstQueueId: number) {
    this.name = name;
    this.firstQueueId = firstQueueId;
    this.#records = openNew(pathOf(directory, name, 'records'));
    try {
      this.#index = openNew(pathOf(directory, name, 'index'));
    } catch (error) {
      closeSync(this.#records);
      throw error;
    }
    this.#writeHeader(0n, OPEN_NS);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#recordBytes + (this.#count + 1) * ENTRY_BYTES;
  }

  get maxNs(): bigint {
    return this.#maxNs;
  }

  /** Throws the error of the file system; then only a part was written, and the segment takes no more. */
  append(items: readonly Kept[], hashes: Hashes): void {
    const index = Buffer.alloc(items.length * ENTRY_BYTES);
    const lines: Uint8Array[] = [];
    let offset = this.#recordBytes;
    for (const [position, { origin, record }] of items.entries()) {
      const facts = factsOf(readRecord(record));
      const place = { origin, offset, bytes: record.length, crc: crc32(record) };
      encodeEntry(index, position * ENTRY_BYTES, facts, place, hashes);
      lines.push(record, LINE_END);
      offset += record.length + LINE_END.length;
      if (this.#minNs === 0n || facts.timeNs < this.#minNs) this.#minNs = facts.timeNs;
      if (facts.timeNs > this.#maxNs) this.#maxNs = facts.timeNs;
    }
    writeAll(this.#records, Buffer.concat(lines), this.#recordBytes);
    writeAll(this.#index, index, (this.#count + 1) * ENTRY_BYTES);
    this.#recordBytes = offset;
    this.#count += items.length;
  }

  /** Throws the error of the file system. The files are closed all the same. */
  close(): void {
    try {
      this.#writeHeader(this.#minNs, this.#maxNs);
    } finally {
      closeSync(this.#records);
      closeSync(this.#index);
    }
  }

  #writeHeader(minNs: bigint, maxNs: bigint): void {
    writeAll(this.#index, encodeHeader({ firstQueueId: this.firstQueueId, minNs, maxNs }), 0);
  }
}

/**
 * Copies a segment without the records of these origins, and removes it. Their entries stay, marked as removed, so that the positions of the
 * others do not change. Returns the new name.
 */
export function copyWithout(
  directory: string,
  name: SegmentName,
  index: Index,
  isGone: (position: number) => boolean,
): SegmentName {
  const copy = { ...name, copy: name.copy + 1 };
  const path = (part: (typeof PARTS)[number]) => pathOf(directory, copy, part);
  const entries = [encodeHeader(index.header)];
  const from = openToRead(pathOf(directory, name, 'records'));
  let to: number | null = null;
  try {
    to = openNew(path('records'));
    let offset = 0;
    for (let position = 0; position < index.count; position += 1) {
      const entry = Buffer.from(index.slice(position));
      entries.push(entry);
      if (index.kind(position) === null || isGone(position)) {
        entry.writeUInt8(0, KIND_AT);
        continue;
      }
      const { offset: at, bytes } = index.entry(position);
      const line = Buffer.alloc(bytes + LINE_END.length, LINE_END);
      readSync(from, line, 0, bytes, at);
      writeAll(to, line, offset);
      entry.writeUInt32LE(offset, OFFSET_AT);
      offset += line.length;
    }
  } finally {
    closeSync(from);
    if (to !== null) closeSync(to);
  }
  copyIfPresent(pathOf(directory, name, 'delivery'), path('delivery'));
  const unfinished = `${path('index')}.new`;
  rmSync(unfinished, { force: true });
  const fd = openNew(unfinished);
  try {
    writeAll(fd, Buffer.concat(entries), 0);
  } finally {
    closeSync(fd);
  }
  renameSync(unfinished, path('index'));
  removeSegment(directory, name);
  return copy;
}

/** The index last: without it the other files belong to no segment. */
export function removeSegment(directory: string, name: SegmentName): void {
  for (const part of PARTS.toReversed()) rmSync(pathOf(directory, name, part), { force: true });
}

function copyIfPresent(from: string, to: string): void {
  try {
    copyFileSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A full disk takes only a part of a write. */
function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(fd, bytes, written, bytes.length - written, position + written);
}
