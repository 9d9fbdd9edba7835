// SPDX-License-Identifier: Apache-2.0
// Ids and uids of the rows of the queue. Pure.
import { LOG_RECORD_UID } from '../../core/telemetry/semconv.ts';
import { readRecord } from '../../core/telemetry/stored.ts';
import { type IdRange, joinRanges, type Row } from './tables.ts';

/** null: the bytes are no record. */
export function uidOf({ record }: Row): string | null {
  try {
    return String(readRecord(record).attributes[LOG_RECORD_UID]);
  } catch {
    return null;
  }
}

/** Returns the ids of settled rows, with every id between two rows that stay. */
export function rangesOf(inFlight: readonly Row[], settled: ReadonlySet<Row>): IdRange[] {
  const ranges: IdRange[] = [];
  let after = 0;
  for (const row of inFlight) {
    if (settled.has(row)) ranges.push({ after, through: row.id });
    else after = row.id;
  }
  return joinRanges([], ranges);
}

/** Returns the uids as binary, 16 bytes each. */
export function bytesOfUids(items: readonly { readonly uid: string }[]): Uint8Array {
  return Buffer.from(items.map(({ uid }) => uid.replaceAll('-', '')).join(''), 'hex');
}
