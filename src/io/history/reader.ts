// SPDX-License-Identifier: Apache-2.0
// Reads the history: of a running service, or of one that has ended. It creates and writes no file. core/history/ has the filters; writer.ts
// writes the history.
import { statSync } from 'node:fs';
import type { Entry } from '../../core/history/entry.ts';
import { type Filter, indexedFilters, matcherOf } from '../../core/history/filter.ts';
import { Hashes, type Index } from '../../core/history/index-entry.ts';
import { Counts, DIMENSIONS, keysOf, type Statistics, type StatisticsOptions } from '../../core/history/statistics.ts';
import { cursorOf, type Position, positionOf } from './position.ts';
import { SegmentReader } from './segment-reader.ts';
import { historyDirectory, listSegments, pathOf, readHeader, readIndex, type SegmentName } from './segments.ts';
import { unreadable } from './unreadable.ts';

/** Indexes that are kept for the next call. */
const INDEXES_MAX = 64;
/** Records that an id may fit and that are still shown. */
const CANDIDATES_MAX = 10;
/** Restarts are reported for a minute; the service may read them later. */
const RESTARTED_WITHIN_NS = 120_000_000_000n;

export interface Page {
  readonly limit: number;
  /** Where the previous page ended. */
  readonly cursor?: string | null;
  /** Oldest first. */
  readonly reverse?: boolean;
}

export interface Listing {
  readonly entries: readonly Entry[];
  /** null: there are no more. */
  readonly next: string | null;
}

interface Place {
  readonly reader: SegmentReader;
  readonly position: number;
}

/** A record with its place. */
export interface Found {
  readonly entry: Entry;
  readonly segment: SegmentName;
  readonly index: Index;
  readonly position: number;
}

/** Throws a FatalError with the remedy if there is no history that this user can read. */
export function openHistory(stateDirectory: string): HistoryReader {
  const reader = new HistoryReader(stateDirectory);
  reader.refresh();
  return reader;
}

export class HistoryReader {
  readonly #stateDirectory: string;
  readonly #directory: string;
  readonly #hashes = new Hashes();
  #segments: readonly SegmentName[] = [];
  readonly #indexes = new Map<string, { readonly stamp: string; readonly index: Index | null }>();
  /** Records that could not be read. */
  damaged = 0;
  /** Segments that another release wrote, or that are no index. */
  readonly #foreign = new Set<number>();

  constructor(stateDirectory: string) {
    this.#stateDirectory = stateDirectory;
    this.#directory = historyDirectory(stateDirectory);
  }

  /** What could not be read, in sentences. */
  get problems(): readonly string[] {
    const problems: string[] = [];
    if (this.#foreign.size > 0)
      problems.push(
        `${this.#foreign.size} files in ${this.#directory} are damaged or of a later release of whodunit: they are left out. Install that release to read them.`,
      );
    if (this.damaged > 0)
      problems.push(`${this.damaged} records in ${this.#directory} are damaged: they are left out.`);
    return problems;
  }

  /** Newest first, in the order in which they were recorded. */
  list(filter: Filter, { limit, cursor = null, reverse = false }: Page): Listing {
    this.refresh();
    const matches = matcherOf(filter);
    const entries: Entry[] = [];
    let last: Position | null = null;
    for (const { reader, position } of this.#walk(filter, positionOf(cursor), reverse)) {
      const entry = this.#entry(reader, position);
      if (entry === null || !matches(entry)) continue;
      if (entries.length === limit) return { entries, next: last === null ? null : cursorOf(last) };
      entries.push(entry);
      last = { number: reader.name.number, position };
    }
    return { entries, next: null };
  }

  /** The record with this uid, or the only one whose uid begins with it. */
  get(id: string): Entry | null {
    const found = this.find(id);
    return found.length === 1 ? (found[0] as Entry) : null;
  }

  /** The records whose uid begins with these digits, newest first. */
  find(id: string, limit = CANDIDATES_MAX): Entry[] {
    const digits = id.replaceAll('-', '').toLowerCase();
    if (!/^[0-9a-f]{1,32}$/.test(digits)) return [];
    this.refresh();
    return this.#first(
      this.#walk({}, null, false, (index) => index.withUid(digits).reverse()),
      limit,
    );
  }

  /** The terminations of processes with this pid, newest first. */
  ofPid(pid: number, limit = CANDIDATES_MAX): Entry[] {
    return this.#select({ kind: 'termination' }, (index, position) => index.pid(position) === pid, limit);
  }

  /** The restart that followed a termination. null: there was none. */
  restartOf({ id, time_ns: sinceNs }: Pick<Entry, 'id' | 'time_ns'>): Entry | null {
    const hashed = this.#hashes.of(id);
    const filter = { kind: 'restart', sinceNs, untilNs: sinceNs + RESTARTED_WITHIN_NS } as const;
    return this.#select(filter, (index, position) => index.isRestartOf(position, hashed), 1)[0] ?? null;
  }

  /** Counts without reading the records, but for one of each name; all of them if the filter needs it. */
  stats(filter: Filter, options: StatisticsOptions): Statistics {
    this.refresh();
    const counts = new Counts();
    const names = new Map<string, string>();
    const { sinceNs, untilNs, kind = 'termination', terminationUid: _, ...named } = filter;
    const matches = Object.keys(named).length === indexedFilters(filter).length ? null : matcherOf({ ...filter, kind });
    for (const { reader, position } of this.#walk({ ...filter, kind }, null, false)) {
      const { index } = reader;
      const keys = keysOf(index, position);
      const unnamed = DIMENSIONS.some((dimension) => keys[dimension] !== '' && !names.has(keys[dimension]));
      if (unnamed || matches !== null) {
        const entry = this.#entry(reader, position);
        if (entry === null || matches?.(entry) === false) continue;
        for (const dimension of DIMENSIONS) names.set(keys[dimension], entry[dimension] ?? '');
      }
      counts.add(index.timeNs(position), keys);
    }
    return counts.statistics(options, { sinceNs, untilNs }, (_, key) => names.get(key) ?? '');
  }

  /** What was recorded after `cursor`, oldest first; null: nothing but the cursor of the newest record. */
  since(cursor: string | null, filter: Filter = {}): { entries: readonly Entry[]; cursor: string } {
    this.refresh();
    const from = positionOf(cursor);
    const entries: Entry[] = [];
    const matches = matcherOf(filter);
    if (from !== null)
      for (const { reader, position } of this.#walk({}, from, true)) {
        const entry = this.#entry(reader, position);
        if (entry !== null && matches(entry)) entries.push(entry);
      }
    const newest = this.#segments.at(-1);
    const index = newest === undefined ? null : this.#indexOf(newest);
    return {
      entries,
      cursor: cursorOf({ number: newest?.number ?? 0, position: (index?.count ?? 0) - 1 }),
    };
  }

  /** All that match, newest first, with their places. */
  *matching(filter: Filter): Generator<Found> {
    this.refresh();
    const matches = matcherOf(filter);
    for (const { reader, position } of this.#walk(filter, null, false)) {
      const entry = this.#entry(reader, position);
      if (entry !== null && matches(entry)) yield { entry, segment: reader.name, index: reader.index, position };
    }
  }

  close(): void {
    this.#indexes.clear();
  }

  /** Finds the files again. Throws a FatalError with the remedy if they cannot be read. */
  refresh(): void {
    try {
      this.#segments = listSegments(this.#directory).segments;
    } catch (error) {
      throw unreadable(this.#stateDirectory, error as NodeJS.ErrnoException);
    }
  }

  #select(filter: Filter, wanted: (index: Index, position: number) => boolean, limit: number): Entry[] {
    this.refresh();
    const places = this.#walk(filter, null, false).filter(({ reader, position }) => wanted(reader.index, position));
    return this.#first(places, limit);
  }

  #first(places: Iterable<Place>, limit: number): Entry[] {
    const found: Entry[] = [];
    for (const { reader, position } of places) {
      const entry = this.#entry(reader, position);
      if (entry !== null) found.push(entry);
      if (found.length === limit) break;
    }
    return found;
  }

  /** The records that the index does not exclude: before `from`, newest first; `forward`: after it, oldest first. `among`: these alone. */
  *#walk(
    filter: Filter,
    from: Position | null,
    forward: boolean,
    among: ((index: Index) => Iterable<number>) | null = null,
  ): Generator<Place> {
    const admits = this.#admission(filter);
    for (const name of this.#segmentsFrom(from, forward)) {
      const index = this.#overlaps(name, filter) ? this.#indexOf(name) : null;
      if (index === null) continue;
      const end = forward ? -1 : index.count;
      const start = from?.number === name.number ? from.position : end;
      const reader = new SegmentReader(this.#directory, name, index);
      try {
        for (const position of among?.(index) ?? positionsFrom(start, forward ? 1 : -1, index))
          if (index.kind(position) !== null && admits(index, position)) yield { reader, position };
      } finally {
        reader.close();
      }
    }
  }

  #segmentsFrom(from: Position | null, forward: boolean): readonly SegmentName[] {
    if (forward) return this.#segments.filter(({ number }) => from === null || number >= from.number);
    return this.#segments.filter(({ number }) => from === null || number <= from.number).reverse();
  }

  #admission(filter: Filter): (index: Index, position: number) => boolean {
    const { sinceNs, untilNs, kind } = filter;
    const keys = indexedFilters(filter).map(([name, value]) => [name, this.#hashes.of(value)] as const);
    return (index, position) => {
      if (kind !== undefined && index.kind(position) !== kind) return false;
      if (sinceNs !== undefined && index.timeNs(position) < sinceNs) return false;
      if (untilNs !== undefined && index.timeNs(position) >= untilNs) return false;
      return keys.every(([name, hashed]) => index.hasName(position, name, hashed));
    };
  }

  /** Whether records of the segment may have been recorded at such a time. */
  #overlaps(name: SegmentName, { sinceNs, untilNs }: Filter): boolean {
    if (sinceNs === undefined && untilNs === undefined) return true;
    const header = this.#orGone(() => readHeader(this.#directory, name));
    if (header === null) return true;
    return (sinceNs === undefined || header.maxNs >= sinceNs) && (untilNs === undefined || header.minNs < untilNs);
  }

  #indexOf(name: SegmentName): Index | null {
    const path = pathOf(this.#directory, name, 'index');
    const file = this.#orGone(() => statSync(path));
    if (file === null) return null;
    const stamp = `${file.size} ${file.mtimeMs}`;
    const known = this.#indexes.get(path);
    if (known?.stamp === stamp) return known.index;
    const index = this.#orGone(() => readIndex(this.#directory, name) ?? 'foreign');
    if (index === null) return null;
    if (index === 'foreign') this.#foreign.add(name.number);
    if (this.#indexes.size >= INDEXES_MAX) this.#indexes.delete(this.#indexes.keys().next().value ?? '');
    const usable = index === 'foreign' ? null : index;
    this.#indexes.set(path, { stamp, index: usable });
    return usable;
  }

  #entry(reader: SegmentReader, position: number): Entry | null {
    const entry = this.#orGone(() => reader.entry(position));
    if (entry === null) this.damaged += 1;
    return entry;
  }

  /** null: the service has removed the file since it was listed. */
  #orGone<T>(read: () => T): T | null {
    try {
      return read();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return null;
      throw code === undefined ? error : unreadable(this.#stateDirectory, error as NodeJS.ErrnoException);
    }
  }
}

function* positionsFrom(start: number, step: 1 | -1, { count }: Index): Generator<number> {
  for (let position = start + step; position >= 0 && position < count; position += step) yield position;
}
