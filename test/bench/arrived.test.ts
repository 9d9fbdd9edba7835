// SPDX-License-Identifier: Apache-2.0
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Arrived } from '../../bench/arrived.ts';
import { temporaryDirectory } from '../../scripts/stack/program.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

/** A request with these records, as the collector's file exporter writes it. */
const request = (...uids: string[]): string =>
  `${JSON.stringify({ logRecords: uids.map((uid) => ({ attributes: [{ key: 'log.record.uid', value: { stringValue: uid } }] })) })}\n`;

it('knows which records are in the file, and which of them twice', () => {
  const path = join(directory.path, 'logs.jsonl');
  const arrived = new Arrived(path);
  arrived.read();
  expect(arrived.hasAll(['a'])).toBe(false);
  appendFileSync(path, request('a', 'b'));
  arrived.read();
  appendFileSync(path, request('b', 'c'));
  arrived.read();
  expect(arrived.hasAll(['a', 'b', 'c'])).toBe(true);
  expect(arrived.compare(['a', 'b', 'c', 'd'])).toEqual({ missing: 1, copies: 1 });
});
