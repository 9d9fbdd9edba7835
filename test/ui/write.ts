// SPDX-License-Identifier: Apache-2.0
// Writes records into a history, as the service does.
import { mkdirSync } from 'node:fs';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { Hashes } from '../../src/core/history/index-entry.ts';
import { storeRecord } from '../../src/core/telemetry/stored.ts';
import { SegmentWriter } from '../../src/io/history/segment-writer.ts';
import { historyDirectory } from '../../src/io/history/segments.ts';

export function writeHistory(stateDirectory: string, records: readonly ReadableLogRecord[]): void {
  const directory = historyDirectory(stateDirectory);
  mkdirSync(directory, { recursive: true });
  const writer = new SegmentWriter(directory, { number: 1, copy: 0 }, 0);
  const items = records.map((record) => ({ origin: '', record: storeRecord(record) }));
  writer.append(items, new Hashes());
  writer.close();
}
