// SPDX-License-Identifier: Apache-2.0
// Which records a full queue drops: the oldest of the origin that holds most of it, so that a flood displaces only its own. queue.ts runs it
// inside its transaction and tells it what the transaction changed.
import { Displaced, type OriginKey, Shares } from '../../core/shares.ts';
import { ROW_BYTES, type Row, type Statements } from './tables.ts';
import type { Totals } from './totals.ts';

/** The bytes of a record in the queue. */
export function costOf(record: Uint8Array): number {
  return record.length + ROW_BYTES;
}

/** What a transaction dropped. It counts when the transaction is on disk. */
export interface Evicted {
  /** The origins of the dropped records, by id. */
  readonly origins: ReadonlyMap<number, OriginKey>;
  /** What each origin holds after it. */
  readonly shares: Shares;
}

export class Eviction {
  /** What each origin holds, records in flight included. null: not known, because the queue has not been full. */
  #shares: Shares | null = null;
  /** Dropped records, since the service started. */
  readonly displaced = new Displaced();

  /**
   * Drops records until the others fit into `bytesMax`, but none in flight: their ids are at most `taken`. `added`: the records of this
   * transaction.
   */
  run(totals: Totals, sql: Statements, bytesMax: number, taken: number, added: readonly Row[]): Evicted {
    // Only a full queue needs the index: it would double the cost of each record.
    sql.indexOrigins.run();
    const shares = this.#sharesWith(added, sql);
    const inFlightOnly = new Set<OriginKey>();
    const origins = new Map<number, OriginKey>();
    while (totals.bytes > bytesMax) {
      const origin = shares.largest(null, inFlightOnly);
      if (origin === null) break;
      const oldest = sql.oldestOf.get(origin, taken) as { id: number; bytes: number } | undefined;
      if (oldest === undefined) {
        inFlightOnly.add(origin);
        continue;
      }
      const cost = oldest.bytes + ROW_BYTES;
      sql.deleteBetween.run(oldest.id - 1, oldest.id);
      origins.set(oldest.id, origin);
      shares.add(origin, -cost);
      totals.pending -= 1;
      totals.evicted += 1;
      totals.bytes -= cost;
    }
    return { origins, shares };
  }

  /** A transaction is on disk that added these records. `evicted`: what run() returned in it; null: there was room. */
  committed(added: readonly Row[], evicted: Evicted | null): void {
    this.#change(added, 1);
    if (evicted === null) return;
    this.#shares = evicted.shares;
    for (const origin of evicted.origins.values()) this.displaced.add(origin);
  }

  /** These records left the queue. */
  removed(rows: readonly Row[]): void {
    this.#change(rows, -1);
  }

  /** Records may be missing that were in the queue: what each origin holds is read again. */
  forget(): void {
    this.#shares = null;
  }

  #change(rows: readonly Row[], sign: 1 | -1): void {
    for (const { origin, record } of rows) this.#shares?.add(origin, sign * costOf(record));
  }

  /** A copy, because the transaction may fail. */
  #sharesWith(added: readonly Row[], sql: Statements): Shares {
    const shares = new Shares();
    if (this.#shares === null) {
      const all = sql.shares.iterate(ROW_BYTES) as Iterable<{ origin: OriginKey; bytes: number }>;
      for (const { origin, bytes } of all) shares.add(origin, bytes);
      return shares;
    }
    for (const [origin, bytes] of this.#shares) shares.add(origin, bytes);
    for (const { origin, record } of added) shares.add(origin, costOf(record));
    return shares;
  }
}
