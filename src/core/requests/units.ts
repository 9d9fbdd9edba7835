// SPDX-License-Identifier: Apache-2.0
// When a process of each unit terminated last, and by the out-of-memory killer: systemd reacts to both. Bounded by origin.
import type { Placement } from '../identity/placement.ts';
import { FairMap, type OriginKey } from '../shares.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { UnitEvents } from './systemd.ts';

const UNITS_MAX = 1024;
const NOTHING: UnitEvents = { oomKillNs: null, terminationNs: null };

export class Units {
  readonly #events = new FairMap<UnitEvents>(UNITS_MAX);

  /** Adds a termination (CLOCK_BOOTTIME). Returns what happened in its unit before. */
  add(placement: Placement, origin: OriginKey, timeNs: bigint, { cause }: Pick<Verdict, 'cause'>): UnitEvents {
    const { containerId, unit, userUnit } = placement;
    if (unit === null && userUnit === null) return NOTHING;
    const key = JSON.stringify([origin, containerId, unit, userUnit]);
    const before = this.#events.get(key) ?? NOTHING;
    const oomKillNs = cause === 'oom_kill' ? timeNs : before.oomKillNs;
    this.#events.set(key, origin, { oomKillNs, terminationNs: timeNs });
    return before;
  }
}
