// SPDX-License-Identifier: Apache-2.0
// Counts over entries of the history: by cause, service, sender and user, and over time. Pure: the caller adds the entries.
import type { Index } from './index-entry.ts';

export interface Counted {
  readonly name: string;
  readonly count: number;
  /** Of the last one, ns since 1970. */
  readonly lastNs: bigint;
}

export interface Statistics {
  readonly total: number;
  readonly fromNs: bigint;
  /** The width of a bin. */
  readonly stepNs: bigint;
  /** One count for each bin, from `fromNs`; most frequent cause first. */
  readonly series: readonly { readonly cause: string; readonly counts: readonly number[] }[];
  /** Most frequent first, at most `top`. */
  readonly causes: readonly Counted[];
  readonly services: readonly Counted[];
  readonly senders: readonly Counted[];
  readonly users: readonly Counted[];
}

export const DIMENSIONS = ['cause', 'service', 'sender', 'user'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export interface StatisticsOptions {
  readonly bins: number;
  readonly top: number;
}

/** Collects counts under keys; names are found for the keys that are shown. */
export class Counts {
  readonly #times: { readonly timeNs: bigint; readonly cause: string }[] = [];
  readonly #counted = new Map<Dimension, Map<string, { count: number; lastNs: bigint }>>(
    DIMENSIONS.map((dimension) => [dimension, new Map()]),
  );

  #firstNs: bigint | null = null;
  #lastNs: bigint | null = null;

  /** `keys`: '' if it has none. */
  add(timeNs: bigint, keys: Readonly<Record<Dimension, string>>): void {
    this.#times.push({ timeNs, cause: keys.cause });
    if (this.#firstNs === null || timeNs < this.#firstNs) this.#firstNs = timeNs;
    if (this.#lastNs === null || timeNs > this.#lastNs) this.#lastNs = timeNs;
    for (const dimension of DIMENSIONS) {
      const key = keys[dimension];
      if (key === '') continue;
      const members = this.#counted.get(dimension) as Map<string, { count: number; lastNs: bigint }>;
      const member = members.get(key);
      if (member === undefined) members.set(key, { count: 1, lastNs: timeNs });
      else {
        member.count += 1;
        if (timeNs > member.lastNs) member.lastNs = timeNs;
      }
    }
  }

  /** `range`: of the filter; where it is open, from the first or to the last time. */
  statistics(
    { bins, top }: StatisticsOptions,
    range: { readonly sinceNs?: bigint | undefined; readonly untilNs?: bigint | undefined },
    nameOf: (dimension: Dimension, key: string) => string,
  ): Statistics {
    const fromNs = range.sinceNs ?? this.#firstNs ?? 0n;
    const untilNs = range.untilNs ?? (this.#lastNs ?? fromNs) + 1n;
    const stepNs = (untilNs - fromNs + BigInt(bins) - 1n) / BigInt(bins) || 1n;
    const series = new Map<string, number[]>();
    for (const { timeNs, cause } of this.#times) {
      const counts = series.get(cause) ?? Array.from({ length: bins }, () => 0);
      const bin = Math.min(Number((timeNs - fromNs) / stepNs), bins - 1);
      counts[bin] = (counts[bin] ?? 0) + 1;
      series.set(cause, counts);
    }
    const sorted = (dimension: Dimension): Counted[] =>
      [...(this.#counted.get(dimension) ?? [])]
        .sort(([, a], [, b]) => b.count - a.count)
        .slice(0, top)
        .map(([key, { count, lastNs }]) => ({ name: nameOf(dimension, key), count, lastNs }));
    const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
    return {
      total: this.#times.length,
      fromNs,
      stepNs,
      series: [...series]
        .map(([key, counts]) => ({ cause: key === '' ? '' : nameOf('cause', key), counts }))
        .sort((a, b) => total(b.counts) - total(a.counts)),
      causes: sorted('cause'),
      services: sorted('service'),
      senders: sorted('sender'),
      users: sorted('user'),
    };
  }
}

/** What a record counts as in each dimension, by the keys of its names in the index. */
export function keysOf(index: Index, position: number): Record<Dimension, string> {
  return {
    cause: index.name(position, 'cause'),
    service: index.name(position, 'service'),
    sender: index.name(position, 'sender'),
    user: index.name(position, 'user'),
  };
}
