// SPDX-License-Identifier: Apache-2.0
// The index of one file of the history: a header, and an entry of fixed size for each record, so that a reader finds records by time, uid, pid
// and names without parsing them. Pure: bytes ↔ values. io/history/ reads and writes the files.
import { hash } from 'node:crypto';
import { type Facts, KINDS, type Kind } from './entry.ts';
import { FILTER_NAMES, type FilterName } from './filter-names.ts';

/** A reader refuses an index of a later version. */
export const INDEX_VERSION = 1;
/** Of the header, and of each entry. */
export const ENTRY_BYTES = 160;
const MAGIC = Buffer.from('whodunit history');

const HEADER_AT = { version: 16, firstQueueId: 24, minNs: 32, maxNs: 40 } as const;
const AT = {
  timeNs: 0,
  offset: 8,
  bytes: 12,
  uid: 16,
  pid: 32,
  crc: 36,
  kind: 40,
  origin: 48,
  terminationUid: 56,
  names: 64,
} as const;
const UID_BYTES = 16;
const HASH_BYTES = 8;

export const OPEN_NS = 2n ** 64n - 1n;

export interface IndexHeader {
  readonly version: number;
  /** The id of the first record in the queue; those of the others follow. 0: the records were not to be sent. */
  readonly firstQueueId: number;
  /** The times of the records lie between these, ns since 1970. While it is written, or if its writer was killed, 0 and OPEN_NS. */
  readonly minNs: bigint;
  readonly maxNs: bigint;
}

/** What the index has of one record. */
export interface IndexEntry {
  readonly timeNs: bigint;
  /** Where the record is in the file of records. */
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
  readonly uid: string;
  readonly pid: number;
  /** null: the record was removed. */
  readonly kind: Kind | null;
}

export function encodeHeader({ firstQueueId, minNs, maxNs }: Omit<IndexHeader, 'version'>): Buffer {
  const bytes = Buffer.alloc(ENTRY_BYTES);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(INDEX_VERSION, HEADER_AT.version);
  bytes.writeDoubleLE(firstQueueId, HEADER_AT.firstQueueId);
  bytes.writeBigUInt64LE(minNs, HEADER_AT.minNs);
  bytes.writeBigUInt64LE(maxNs, HEADER_AT.maxNs);
  return bytes;
}

/** null: the bytes are no header. */
export function decodeHeader(bytes: Buffer): IndexHeader | null {
  if (bytes.length < ENTRY_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  return {
    version: bytes.readUInt32LE(HEADER_AT.version),
    firstQueueId: bytes.readDoubleLE(HEADER_AT.firstQueueId),
    minNs: bytes.readBigUInt64LE(HEADER_AT.minNs),
    maxNs: bytes.readBigUInt64LE(HEADER_AT.maxNs),
  };
}

export interface Place {
  readonly origin: string;
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
}

/** Writes the entry of a record into `to`, at `at`. */
export function encodeEntry(to: Buffer, at: number, facts: Facts, place: Place, hashes: Hashes): void {
  to.writeBigUInt64LE(facts.timeNs, at + AT.timeNs);
  to.writeUInt32LE(place.offset, at + AT.offset);
  to.writeUInt32LE(place.bytes, at + AT.bytes);
  to.write(facts.uid.replaceAll('-', ''), at + AT.uid, UID_BYTES, 'hex');
  to.writeUInt32LE(facts.pid, at + AT.pid);
  to.writeUInt32LE(place.crc, at + AT.crc);
  to.writeUInt8(KINDS.indexOf(facts.kind) + 1, at + AT.kind);
  to.set(hashes.of(place.origin), at + AT.origin);
  // Not remembered: each is another one.
  if (facts.terminationUid !== undefined) to.set(hashOf(facts.terminationUid), at + AT.terminationUid);
  for (let index = 0; index < FILTER_NAMES.length; index += 1) {
    const value = facts.names[FILTER_NAMES[index] as FilterName];
    if (value !== undefined) to.set(hashes.of(value), at + AT.names + index * HASH_BYTES);
  }
}

/** The index of one file, header included. It may end in an entry that is not complete. */
export class Index {
  readonly #bytes: Buffer;
  readonly header: IndexHeader;
  readonly count: number;

  constructor(bytes: Buffer, header: IndexHeader) {
    this.#bytes = bytes;
    this.header = header;
    this.count = Math.floor(bytes.length / ENTRY_BYTES) - 1;
  }

  entry(position: number): IndexEntry {
    const at = entryAt(position);
    const bytes = this.#bytes;
    return {
      timeNs: bytes.readBigUInt64LE(at + AT.timeNs),
      offset: bytes.readUInt32LE(at + AT.offset),
      bytes: bytes.readUInt32LE(at + AT.bytes),
      crc: bytes.readUInt32LE(at + AT.crc),
      uid: this.uid(position),
      pid: bytes.readUInt32LE(at + AT.pid),
      kind: this.kind(position),
    };
  }

  timeNs(position: number): bigint {
    return this.#bytes.readBigUInt64LE(entryAt(position) + AT.timeNs);
  }

  pid(position: number): number {
    return this.#bytes.readUInt32LE(entryAt(position) + AT.pid);
  }

  kind(position: number): Kind | null {
    return KINDS[(this.#bytes[entryAt(position) + AT.kind] ?? 0) - 1] ?? null;
  }

  bytes(position: number): number {
    return this.#bytes.readUInt32LE(entryAt(position) + AT.bytes);
  }

  uid(position: number): string {
    const at = entryAt(position) + AT.uid;
    const hex = this.#bytes.toString('hex', at, at + UID_BYTES);
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  /** The positions, ascending, whose uid begins with these hexadecimal digits. Buffer.indexOf() finds them ten times as fast as a loop. */
  withUid(digits: string): number[] {
    const whole = Buffer.from(digits.slice(0, digits.length & ~1), 'hex');
    const found: number[] = [];
    for (let at = entryAt(0) + AT.uid; ; ) {
      at = this.#bytes.indexOf(whole, at);
      const position = Math.floor(at / ENTRY_BYTES) - 1;
      if (at === -1 || position >= this.count) return found;
      const isUid = at === entryAt(position) + AT.uid;
      if (isUid && this.uid(position).replaceAll('-', '').startsWith(digits)) found.push(position);
      at += isUid ? ENTRY_BYTES : 1;
    }
  }

  /** As a map's key: the same for equal names. '': it has none. */
  name(position: number, name: FilterName): string {
    return this.#hash(entryAt(position) + AT.names + FILTER_NAMES.indexOf(name) * HASH_BYTES);
  }

  /** Whether it has this name. */
  hasName(position: number, name: FilterName, hashed: Buffer): boolean {
    return this.#isHash(entryAt(position) + AT.names + FILTER_NAMES.indexOf(name) * HASH_BYTES, hashed);
  }

  isRestartOf(position: number, hashed: Buffer): boolean {
    return this.#isHash(entryAt(position) + AT.terminationUid, hashed);
  }

  origin(position: number): string {
    return this.#hash(entryAt(position) + AT.origin);
  }

  /** The bytes of the entries, for a copy of the file. */
  slice(position: number): Buffer {
    return this.#bytes.subarray(entryAt(position), entryAt(position + 1));
  }

  #isHash(at: number, hashed: Buffer): boolean {
    return this.#bytes[at] === hashed[0] && this.#bytes.compare(hashed, 0, HASH_BYTES, at, at + HASH_BYTES) === 0;
  }

  #hash(at: number): string {
    const hashed = this.#bytes.toString('latin1', at, at + HASH_BYTES);
    return hashed === NO_HASH ? '' : hashed;
  }
}

/** Where the entry begins in the file. */
export function entryAt(position: number): number {
  return (position + 1) * ENTRY_BYTES;
}

/** The byte of an entry that says of which kind the record is, from its beginning; 0: the record was removed. */
export const KIND_AT = AT.kind;
/** Where an entry has the offset of its record. */
export const OFFSET_AT = AT.offset;

const NO_HASH = '\0'.repeat(HASH_BYTES);
const KNOWN_MAX = 4_096;

function hashOf(value: string): Buffer {
  return Buffer.from(hash('sha256', value, 'buffer').subarray(0, HASH_BYTES));
}

/** Hashes of names. Cryptographic, so that no process can choose a name that counts as another's. */
export class Hashes {
  readonly #known = new Map<string, Buffer>();

  of(value: string): Buffer {
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    const hashed = hashOf(value);
    this.#known.set(value, hashed);
    return hashed;
  }

  key(value: string): string {
    return this.of(value).toString('latin1');
  }
}
