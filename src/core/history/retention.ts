// SPDX-License-Identifier: Apache-2.0
// What leaves the history when it is full: the oldest records, but not those of origins that hold little, so that a flood displaces only its
// own. Pure: io/history/segment-set.ts removes them.
import { Shares } from '../shares.ts';

/** The bytes of each origin in one segment. */
export type Held = Map<string, number>;

/** An origin that holds less than this part of the average holds little. */
const LITTLE = 0.5;

/**
 * Returns the origins whose records go, by the position of the segment. `segments`: oldest first. Not always those of the largest origin
 * alone: where several hold as much, whole segments go, which need not be copied.
 */
export function surplusOf(segments: readonly Held[], surplusBytes: number): ReadonlyMap<number, ReadonlySet<string>> {
  const shares = new Shares();
  for (const held of segments) for (const [origin, bytes] of held) shares.add(origin, bytes);
  const little = (shares.total / [...shares].length) * LITTLE;
  const gone = new Map<number, Set<string>>();
  let surplus = surplusBytes;
  for (const [position, held] of segments.entries()) {
    if (surplus <= 0) break;
    const origins = new Set<string>();
    for (const [origin, bytes] of held) {
      if (shares.of(origin) < little) continue;
      origins.add(origin);
      shares.add(origin, -bytes);
      surplus -= bytes;
    }
    if (origins.size > 0) gone.set(position, origins);
  }
  return gone;
}
