// SPDX-License-Identifier: Apache-2.0
// Reads the records of one segment. A record that fails its checksum, or is not complete, is damaged: null.
import { closeSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import * as z from 'zod/mini';
import { type Entry, type EntryDelivery, entryOf } from '../../core/history/entry.ts';
import type { Index } from '../../core/history/index-entry.ts';
import { readRecord } from '../../core/telemetry/stored.ts';
import { openToRead, pathOf, readIfThere, type SegmentName } from './segments.ts';

/** A longer record is damaged: none has so many bytes. */
const RECORD_BYTES_MAX = 4 * 1024 * 1024;

/** The greatest time that a Date has, in ms since 1970. */
const TIME_MS_MAX = 8.64e15;
const answerSchema = z.object({
  from: z.int(),
  to: z.int(),
  state: z.enum(['delivered', 'rejected']),
  atMs: z.number().check(z.gte(0), z.lte(TIME_MS_MAX)),
  endpoint: z.string(),
  reason: z.exactOptional(z.string()),
});

/** The answer of the collector for the records `from` to `to`, by their positions. A line of `.delivery`. */
export type Answer = z.infer<typeof answerSchema>;

export class SegmentReader {
  readonly #directory: string;
  readonly #name: SegmentName;
  readonly #index: Index;
  #records: number | null = null;
  #answers: readonly Answer[] | null = null;

  constructor(directory: string, name: SegmentName, index: Index) {
    this.#directory = directory;
    this.#name = name;
    this.#index = index;
  }

  get index(): Index {
    return this.#index;
  }

  get name(): SegmentName {
    return this.#name;
  }

  entry(position: number): Entry | null {
    const { offset, bytes, crc, kind } = this.#index.entry(position);
    if (kind === null || bytes > RECORD_BYTES_MAX) return null;
    const record = Buffer.alloc(bytes);
    this.#records ??= openToRead(pathOf(this.#directory, this.#name, 'records'));
    if (readSync(this.#records, record, 0, bytes, offset) < bytes || crc32(record) !== crc) return null;
    try {
      return entryOf(readRecord(record), this.delivery(position));
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof TypeError) return null;
      throw error;
    }
  }

  delivery(position: number): EntryDelivery {
    if (this.#index.header.firstQueueId === 0) return { state: 'none' };
    this.#answers ??= readAnswers(pathOf(this.#directory, this.#name, 'delivery'));
    const answer = this.#answers.findLast(({ from, to }) => from <= position && position <= to);
    if (answer === undefined) return { state: 'waiting' };
    const { state, atMs, endpoint, reason } = answer;
    const atNs = BigInt(Math.round(atMs)) * 1_000_000n;
    return { state, at_ns: atNs, endpoint, ...(reason === undefined ? {} : { reason }) };
  }

  close(): void {
    if (this.#records !== null) closeSync(this.#records);
    this.#records = null;
  }
}

/** The lines that can be read. The last one may not be complete. */
function readAnswers(path: string): Answer[] {
  return readIfThere(path)
    .split('\n')
    .flatMap((line) => {
      try {
        return [answerSchema.parse(JSON.parse(line))];
      } catch {
        return [];
      }
    });
}
