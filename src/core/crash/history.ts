// SPDX-License-Identifier: Apache-2.0
// How often, and since when, a place crashes: by fingerprint and origin, since the service started. Only what has a record counts.
import { FairMap, type OriginKey } from '../shares.ts';

/** Beyond it, the oldest place is forgotten of the origin that has most. */
const PLACES_MAX = 4096;

export interface CrashHistory {
  /** This crash included. */
  readonly count: number;
  /** Kernel timestamp of the first one, ns since 1970. */
  readonly firstNs: bigint;
}

export class CrashPlaces {
  readonly #known: FairMap<CrashHistory>;

  constructor(limit = PLACES_MAX) {
    this.#known = new FairMap(limit);
  }

  /** Adds a crash. A fingerprint is another place in each origin: no user makes a first crash of others look like a later one. */
  add(fingerprint: string, origin: OriginKey, endedNs: bigint): CrashHistory {
    const key = `${fingerprint} ${origin}`;
    const known = this.#known.get(key);
    const history = { count: (known?.count ?? 0) + 1, firstNs: known?.firstNs ?? endedNs };
    this.#known.set(key, origin, history);
    return history;
  }
}
