// SPDX-License-Identifier: Apache-2.0
// What is not over yet, and changes with the items: open minutes and incidents, keys that the kernel counts, and remembered requests. Each value
// is a row of its own, so that a
// transaction writes only those that changed. A value never changes: what did is another object. ledger.ts makes the transactions.
import { crc32 } from 'node:zlib';
import type { StoredAggregate } from '../../core/filter/aggregate.ts';
import type { StoredIncident } from '../../core/filter/incident.ts';
import type { StoredRepeat } from '../../core/filter/repeats.ts';
import type { StoredRequest } from '../../core/requests/requests.ts';
import type { Statements } from './tables.ts';

export interface Open {
  /** Aggregated terminations that are in no summary yet. */
  readonly open: readonly StoredAggregate[];
  /** Incidents that collect members. */
  readonly incidents: readonly StoredIncident[];
  /** The keys whose terminations the kernel only counts, and how much of their totals is counted here. */
  readonly repeats: readonly StoredRepeat[];
  /** The commands that may have asked for terminations to come. */
  readonly requests: readonly StoredRequest[];
}

const KINDS = ['open', 'incidents', 'repeats', 'requests'] as const satisfies readonly (keyof Open)[];

/** The kind of a row without a value. */
const DAMAGED = 'damaged';

interface Row {
  readonly id: number;
  readonly kind: string;
  readonly json: string;
}

/** What a transaction changed. It counts when the transaction is on disk. */
export interface OpenChanges {
  readonly added: readonly (readonly [object, Row])[];
  readonly removed: readonly object[];
}

export class OpenRows {
  /** The row of each value that is on disk. */
  readonly #rows = new Map<object, Row>();

  /** Reads the values of the previous run. A row that fails its checksum has none, and is deleted by the next write. */
  read(sql: Statements): void {
    for (const { crc, ...row } of sql.open.iterate() as Iterable<Row & { crc: number }>) {
      if (crc32(row.json) === crc) this.#rows.set(JSON.parse(row.json), row);
      else this.#rows.set({}, { ...row, kind: DAMAGED });
    }
  }

  /** The values on disk. */
  get values(): Open {
    const of = (wanted: keyof Open): readonly object[] =>
      [...this.#rows].flatMap(([value, { kind }]) => (kind === wanted ? [value] : []));
    return {
      open: of('open') as StoredAggregate[],
      incidents: of('incidents') as StoredIncident[],
      repeats: of('repeats') as StoredRepeat[],
      requests: of('requests') as StoredRequest[],
    };
  }

  /** Whether a request is not on disk: it has no item, and must not be lost when it is acknowledged. */
  lacks({ requests }: Open): boolean {
    return requests.some((request) => !this.#rows.has(request));
  }

  /** Writes the values that are new, and deletes the rows of those that are gone. */
  write(sql: Statements, open: Open): OpenChanges {
    const added = KINDS.flatMap((kind) =>
      open[kind].flatMap((value) => (this.#rows.has(value) ? [] : [[value, insert(sql, kind, value)] as const])),
    );
    const all = KINDS.flatMap((kind): readonly object[] => open[kind]);
    if (this.#rows.size + added.length === all.length) return { added, removed: [] };
    const present = new Set<object>(all);
    const removed = [...this.#rows.keys()].filter((value) => !present.has(value));
    for (const value of removed) sql.deleteOpen.run((this.#rows.get(value) as Row).id);
    return { added, removed };
  }

  committed({ added, removed }: OpenChanges): void {
    for (const value of removed) this.#rows.delete(value);
    for (const [value, row] of added) this.#rows.set(value, row);
  }

  /** Writes all values to a file that may miss some, or have others. */
  restore(sql: Statements): void {
    sql.clearOpen.run();
    for (const { id, kind, json } of this.#rows.values()) sql.restoreOpen.run(id, kind, json, crc32(json));
  }
}

function insert(sql: Statements, kind: keyof Open, value: object): Row {
  const json = JSON.stringify(value);
  const { lastInsertRowid } = sql.insertOpen.run(kind, json, crc32(json));
  return { id: Number(lastInsertRowid), kind, json };
}
