// SPDX-License-Identifier: Apache-2.0
// The segments of the history as its writer knows them: what they hold, which of them are too old or too many, and which has a record of the
// queue. Every method throws the error of the file system.
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { HistoryLimits } from '../../config/kinds.ts';
import { ENTRY_BYTES, INDEX_VERSION, OPEN_NS } from '../../core/history/index-entry.ts';
import { type Held, surplusOf } from '../../core/history/retention.ts';
import { copyWithout, removeSegment } from './segment-writer.ts';
import {
  countOf,
  DIRECTORY_MODE,
  listSegments,
  PARTS,
  pathOf,
  readHeader,
  readIndex,
  type SegmentName,
} from './segments.ts';

/** More segments are not kept, whatever their size: the oldest go. */
const SEGMENTS_MAX = 4_096;
const MS = 1_000_000n;

export interface Segment {
  name: SegmentName;
  /** 0: its records were not to be sent. */
  readonly firstQueueId: number;
  count: number;
  /** 0: another release's, or not readable. */
  bytes: number;
  maxNs: bigint;
  /** undefined: not read yet. */
  held?: Held;
}

/** Consecutive records of one segment. */
export interface Range {
  readonly segment: Segment;
  readonly from: number;
  to: number;
}

export class SegmentSet {
  readonly #directory: string;
  readonly #limits: HistoryLimits;
  /** Oldest first. */
  #segments: Segment[];

  /** Makes the directory, and reads which segments there are. */
  constructor(directory: string, limits: HistoryLimits) {
    this.#directory = directory;
    this.#limits = limits;
    makeDirectory(directory);
    const { segments, replaced } = listSegments(directory);
    for (const name of replaced) removeSegment(directory, name);
    this.#segments = segments.map((name) => this.#segmentOf(name));
    this.expire(null);
  }

  get records(): number {
    return this.#segments.reduce((sum, { count }) => sum + count, 0);
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The last id of the queue whose record is kept; 0: none is. */
  get lastQueueId(): number {
    const last = this.#segments.findLast(({ firstQueueId }) => firstQueueId > 0);
    return last === undefined ? 0 : last.firstQueueId + last.count - 1;
  }

  /** The uids of the newest segment's last records, at most `limit`. */
  lastUids(limit: number): ReadonlySet<string> {
    const newest = this.#segments.at(-1);
    const index = newest === undefined ? null : readIndex(this.#directory, newest.name);
    if (index === null) return new Set();
    const first = Math.max(0, index.count - limit);
    return new Set(Array.from({ length: index.count - first }, (_, position) => index.uid(first + position)));
  }

  nextName(): SegmentName {
    return { number: (this.#segments.at(-1)?.name.number ?? 0) + 1, copy: 0 };
  }

  add(segment: Segment): void {
    this.#segments.push(segment);
  }

  /** Removes segments whose records are too old, but not the one that takes records. */
  expire(current: Segment | null): void {
    const oldestNs = BigInt(Date.now() - this.#limits.ageMs) * MS;
    const surplus = this.#segments.length - SEGMENTS_MAX;
    const [stay, go]: [Segment[], Segment[]] = [[], []];
    for (const [position, segment] of this.#segments.entries())
      (segment === current || (segment.maxNs >= oldestNs && position >= surplus) ? stay : go).push(segment);
    this.#segments = stay;
    for (const { name } of go) removeSegment(this.#directory, name);
  }

  /** Makes room for `spareBytes`: in the oldest segments, the records of the origin that holds most go. */
  evict(current: Segment, spareBytes: number): void {
    const surplus = this.bytes - this.#limits.bytes + spareBytes;
    const closed = this.#segments.filter((segment) => segment !== current);
    const held = closed.map((segment) => {
      segment.held ??= this.#heldIn(segment.name);
      return segment.held;
    });
    for (const [position, origins] of surplusOf(held, surplus)) {
      const segment = closed[position];
      if (segment?.held === undefined) continue;
      for (const origin of origins) segment.held.delete(origin);
      if (segment.held.size > 0) this.#leaveOut(segment, origins);
      else {
        this.#segments = this.#segments.filter((other) => other !== segment);
        removeSegment(this.#directory, segment.name);
      }
    }
  }

  /** Where the records with these ids of the queue are. Ids without a record are left out. */
  rangesOf(ids: readonly number[]): Range[] {
    const ranges: Range[] = [];
    for (const id of ids) {
      const last = ranges.at(-1);
      if (last !== undefined && id === last.segment.firstQueueId + last.to + 1 && last.to + 1 < last.segment.count) {
        last.to += 1;
        continue;
      }
      const segment = this.#segments.findLast(
        ({ firstQueueId, count }) => firstQueueId > 0 && firstQueueId <= id && id < firstQueueId + count,
      );
      if (segment === undefined) continue;
      const position = id - segment.firstQueueId;
      ranges.push({ segment, from: position, to: position });
    }
    return ranges;
  }

  #leaveOut(segment: Segment, origins: ReadonlySet<string>): void {
    const index = readIndex(this.#directory, segment.name);
    if (index === null) return;
    segment.name = copyWithout(this.#directory, segment.name, index, (position) => origins.has(index.origin(position)));
    segment.bytes = this.#segmentOf(segment.name).bytes;
  }

  #heldIn(name: SegmentName): Held {
    const held: Held = new Map();
    const index = readIndex(this.#directory, name);
    if (index === null) return held;
    for (let position = 0; position < index.count; position += 1) {
      if (index.kind(position) === null) continue;
      const origin = index.origin(position);
      held.set(origin, (held.get(origin) ?? 0) + index.bytes(position) + ENTRY_BYTES);
    }
    return held;
  }

  #segmentOf(name: SegmentName): Segment {
    const files = PARTS.map((part) => statSync(pathOf(this.#directory, name, part), { throwIfNoEntry: false }));
    const header = readHeader(this.#directory, name);
    const changedMs = Math.max(...files.map((file) => file?.mtimeMs ?? 0));
    const changedNs = BigInt(Math.floor(changedMs)) * MS;
    // It stays until it is old: the release that wrote it may come back.
    if (header === null || header.version > INDEX_VERSION)
      return { name, firstQueueId: 0, count: 0, bytes: 0, maxNs: changedNs, held: new Map() };
    const bytes = files.reduce((sum, file) => sum + (file?.size ?? 0), 0);
    const { firstQueueId } = header;
    const maxNs = header.maxNs === OPEN_NS ? changedNs : header.maxNs;
    return { name, firstQueueId, count: countOf(this.#directory, name), bytes, maxNs };
  }
}

/** Not with `recursive`: below /proc, that never returns. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
    chmodSync(path, DIRECTORY_MODE); // whatever the umask is
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error;
    makeDirectory(dirname(path));
    makeDirectory(path);
  }
}
