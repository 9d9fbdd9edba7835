// SPDX-License-Identifier: Apache-2.0
// What is remembered from death to death, bounded: which ones were seen (a second copy is dropped), and how often a service
// ended lately. Time is an argument; where time comes from is left to the caller.

/** A set that forgets its oldest members beyond `limit`. */
export class Seen {
  readonly #members = new Set<string>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** True: it was not a member, and now is. */
  add(member: string): boolean {
    if (this.#members.has(member)) return false;
    this.#members.add(member);
    if (this.#members.size > this.#limit) {
      const oldest = this.#members.values().next();
      if (!oldest.done) this.#members.delete(oldest.value);
    }
    return true;
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
