// SPDX-License-Identifier: Apache-2.0
// Fair shares of what is bounded. Where there is no room, the origin that holds most gives way, so a flood of one origin displaces only
// what is its own. Everything bounded that processes fill uses this (docs/security.md lists it). identity/origin.ts defines the origin.

/** The origin of something: a user in a unit, container, pod or user slice, as identity/origin.ts writes it. Shares only compare it. */
export type OriginKey = string;

/** How much each origin holds, in a unit of the caller's. */
export class Shares {
  readonly #held = new Map<OriginKey, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  [Symbol.iterator](): IterableIterator<[OriginKey, number]> {
    return this.#held.entries();
  }

  of(origin: OriginKey): number {
    return this.#held.get(origin) ?? 0;
  }

  add(origin: OriginKey, amount: number): void {
    const held = this.of(origin) + amount;
    this.#total += amount;
    if (held > 0) this.#held.set(origin, held);
    else this.#held.delete(origin);
  }

  /** The origin that holds most, `favoured` if none holds more. null: nothing is held, but by `exempt` origins. */
  largest(favoured: OriginKey | null = null, exempt: ReadonlySet<OriginKey> = NONE): OriginKey | null {
    let largest: OriginKey | null = null;
    let most = 0;
    for (const [origin, held] of this.#held) {
      if (exempt.has(origin) || held < most || (held === most && origin !== favoured)) continue;
      [largest, most] = [origin, held];
    }
    return largest;
  }

  /**
   * Whether an origin may have one more of `limit` that are never taken back: only if it holds fewer than are free. Alone it gets half of
   * them, a second origin half of the rest, so the next one always finds room (dynamic thresholds; Choudhury and Hahne, 1998).
   */
  admits(origin: OriginKey, limit: number): boolean {
    return this.of(origin) < limit - this.#total;
  }
}

const NONE: ReadonlySet<OriginKey> = new Set();

export interface Member<T> {
  readonly key: string;
  readonly origin: OriginKey;
  readonly value: T;
}

/** A member in the list of its origin, least recently set first. */
interface Entry<T> extends Member<T> {
  value: T;
  weight: number;
  older: Entry<T> | null;
  newer: Entry<T> | null;
}

interface List<T> {
  oldest: Entry<T> | null;
  newest: Entry<T> | null;
}

/** A map of members that weigh at most `limit`, each of an origin. Beyond it, the oldest ones of the origin that holds most are displaced. */
export class FairMap<T> {
  readonly #limit: number;
  readonly #members = new Map<string, Entry<T>>();
  readonly #lists = new Map<OriginKey, List<T>>();
  readonly #shares = new Shares();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#members.size;
  }

  get(key: string): T | undefined {
    return this.#members.get(key)?.value;
  }

  /** In the order in which their keys were added. */
  members(): Member<T>[] {
    return [...this.#members.values()];
  }

  /** Adds a member, or replaces it, as the newest. Returns the last member that it displaced. null: there was room. */
  set(key: string, origin: OriginKey, value: T, weight = 1): Member<T> | null {
    const known = this.#members.get(key);
    if (known?.origin === origin) {
      this.#shares.add(origin, weight - known.weight);
      [known.value, known.weight] = [value, weight];
      this.touch(key);
      return this.#makeRoom(origin);
    }
    this.delete(key);
    const entry: Entry<T> = { key, origin, value, weight, older: null, newer: null };
    this.#members.set(key, entry);
    this.#append(entry);
    this.#shares.add(origin, weight);
    return this.#makeRoom(origin);
  }

  /** Makes a member the newest. */
  touch(key: string): void {
    const entry = this.#members.get(key);
    if (entry === undefined || entry.newer === null) return;
    this.#unlink(entry);
    this.#append(entry);
  }

  delete(key: string): Member<T> | null {
    const entry = this.#members.get(key);
    if (entry === undefined) return null;
    this.#members.delete(key);
    this.#unlink(entry);
    const { origin, value, weight } = entry;
    this.#shares.add(origin, -weight);
    return { key, origin, value };
  }

  /** Whether a new member of this origin would displace one of its own. */
  isExhausted(origin: OriginKey): boolean {
    if (this.#shares.total < this.#limit) return false;
    const largest = this.#shares.largest(origin);
    return largest === null || this.#shares.of(largest) <= this.#shares.of(origin) + 1;
  }

  #makeRoom(newcomer: OriginKey): Member<T> | null {
    let displaced: Member<T> | null = null;
    while (this.#shares.total > this.#limit) displaced = this.#displace(newcomer);
    return displaced;
  }

  /** `newcomer`: the origin of the last member. It displaces nothing of an origin that holds no more than it does. */
  #displace(newcomer: OriginKey): Member<T> | null {
    const oldest = this.#lists.get(this.#shares.largest(newcomer) ?? newcomer)?.oldest;
    return oldest == null ? null : this.delete(oldest.key);
  }

  #append(entry: Entry<T>): void {
    const list = this.#lists.get(entry.origin);
    if (list === undefined) {
      this.#lists.set(entry.origin, { oldest: entry, newest: entry });
      return;
    }
    entry.older = list.newest;
    if (list.newest === null) list.oldest = entry;
    else list.newest.newer = entry;
    list.newest = entry;
  }

  #unlink(entry: Entry<T>): void {
    const { origin, older, newer } = entry;
    const list = this.#lists.get(origin) as List<T>;
    if (older === null) list.oldest = newer;
    else older.newer = newer;
    if (newer === null) list.newest = older;
    else newer.older = older;
    if (list.oldest === null) this.#lists.delete(origin);
    [entry.older, entry.newer] = [null, null];
  }
}

/** Origins that are counted one by one; those of further ones are counted together. */
export const ORIGINS_COUNTED_MAX = 64;
/** All further origins. */
export const OTHER_ORIGINS: OriginKey = '';

/** How much each origin lost because it held most, since the service started. */
export class Displaced {
  readonly #counts = new Map<OriginKey, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  [Symbol.iterator](): IterableIterator<[OriginKey, number]> {
    return this.#counts.entries();
  }

  add(origin: OriginKey, count = 1): void {
    const known = this.#counts.has(origin) || this.#counts.size < ORIGINS_COUNTED_MAX;
    const counted = known ? origin : OTHER_ORIGINS;
    this.#total += count;
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + count);
  }
}
