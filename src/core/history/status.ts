// SPDX-License-Identifier: Apache-2.0
// The history in /status.

/** The records that stay on this machine. */
export interface HistorySnapshot {
  readonly path: string;
  readonly records: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** Records that the disk did not take, since the service started. */
  readonly missed: number;
  /** Why it cannot be written. null: it can. */
  readonly error: string | null;
}

/** null: it is off. */
export function historyStatus(history: HistorySnapshot | null): object | null {
  if (history === null) return null;
  const { path, records, bytes, bytesMax, missed, error } = history;
  return { path, records, bytes, bytes_max: bytesMax, missed, error };
}
