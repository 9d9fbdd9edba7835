// SPDX-License-Identifier: Apache-2.0
// What is remembered from death to death, bounded: which ones were seen (a second copy is dropped), the last ones, and how often a
// service ended lately. Time is an argument; where time comes from is left to the caller.

/**
 * A set that remembers at least its last `limit` members, and at most twice as many. Two generations: to forget one member after the
 * other costs a Set more than all else that is done here.
 */
export class Seen {
  readonly #limit: number;
  #young = new Set<string>();
  #old: ReadonlySet<string>;

  /** `members`: what is remembered from before, not more than the limit. */
  constructor(limit: number, members: Iterable<string> = []) {
    this.#limit = limit;
    this.#old = new Set(members);
  }

  /** True: it was not a member, and now is. */
  add(member: string): boolean {
    if (this.#young.has(member) || this.#old.has(member)) return false;
    this.#young.add(member);
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    return true;
  }
}

/** The last `limit` of something, oldest first. */
export class Last<T> {
  readonly #members: T[] = [];
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(member: T): void {
    this.#members.push(member);
    if (this.#members.length > this.#limit) this.#members.shift();
  }

  members(): readonly T[] {
    return this.#members;
  }
}

export const RECENT_WINDOW_NS = 600_000_000_000n;
/** Services that are remembered at once, and ends of one that are told apart: more than these say `at least`. */
const SERVICES_MAX = 1024;
const ENDS_MAX = 1000;

/** Counts the ends of each service in the last 10 minutes. */
export class Recent {
  readonly #ends = new Map<string, bigint[]>();

  /** Adds an end at `timeNs` (CLOCK_BOOTTIME) and gives the number in the window that ends there, this one included. */
  add(service: string, timeNs: bigint): number {
    const ends = this.#ends.get(service) ?? [];
    // In order of arrival, which is that of the ring: the oldest is in front.
    while (ends[0] !== undefined && timeNs - ends[0] >= RECENT_WINDOW_NS) ends.shift();
    ends.push(timeNs);
    if (ends.length > ENDS_MAX) ends.shift();
    this.#ends.delete(service);
    this.#ends.set(service, ends);
    if (this.#ends.size > SERVICES_MAX) {
      const oldest = this.#ends.keys().next();
      if (!oldest.done) this.#ends.delete(oldest.value);
    }
    return ends.length;
  }
}
