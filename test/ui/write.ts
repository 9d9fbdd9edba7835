// SPDX-License-Identifier: Apache-2.0
// Writes records into a history, as the service does.
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { entryOf } from '../../src/core/history/entry.ts';
import { ENTRY_BYTES, encodeEntry, encodeHeader, Hashes } from '../../src/core/history/index-entry.ts';
import { storeRecord } from '../../src/core/telemetry/stored.ts';
import { historyDirectory, pathOf } from '../../src/io/history/segments.ts';

export function writeHistory(stateDirectory: string, records: readonly ReadableLogRecord[]): void {
  const directory = historyDirectory(stateDirectory);
  mkdirSync(directory, { recursive: true });
  const name = { number: 1, copy: 0 };
  const hashes = new Hashes();
  const index = Buffer.alloc(records.length * ENTRY_BYTES);
  const stored = records.map((record) => storeRecord(record));
  let offset = 0;
  let [minNs, maxNs] = [2n ** 63n, 0n];
  for (const [position, record] of records.entries()) {
    const bytes = stored[position] as Uint8Array;
    const entry = entryOf(record, { state: 'none' });
    encodeEntry(
      index,
      position * ENTRY_BYTES,
      entry,
      { origin: '', offset, bytes: bytes.length, crc: crc32(bytes) },
      hashes,
    );
    offset += bytes.length + 1;
    if (entry.time_ns < minNs) minNs = entry.time_ns;
    if (entry.time_ns > maxNs) maxNs = entry.time_ns;
  }
  writeFileSync(
    pathOf(directory, name, 'records'),
    Buffer.concat(stored.flatMap((bytes) => [bytes, Buffer.from('\n')])),
  );
  writeFileSync(pathOf(directory, name, 'index'), encodeHeader({ firstQueueId: 0, minNs, maxNs }));
  appendFileSync(pathOf(directory, name, 'index'), index);
}
