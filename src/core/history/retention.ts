// SPDX-License-Identifier: Apache-2.0
// What leaves the history when it is full: the oldest records of the origin that holds most, so that a flood displaces only its own. Pure:
// io/history/writer.ts removes them.
import { Shares } from '../shares.ts';

/** The bytes of each origin in one segment. */
export type Held = Map<string, number>;

/** Returns the origins whose records go, by the position of the segment. `segments`: oldest first. */
export function surplusOf(segments: readonly Held[], surplusBytes: number): ReadonlyMap<number, ReadonlySet<string>> {
  const shares = new Shares();
  for (const held of segments) for (const [origin, bytes] of held) shares.add(origin, bytes);
  const gone = new Map<number, Set<string>>();
  let surplus = surplusBytes;
  while (surplus > 0) {
    const origin = shares.largest();
    if (origin === null) break;
    const oldest = segments.findIndex((held, position) => held.has(origin) && !gone.get(position)?.has(origin));
    const bytes = segments[oldest]?.get(origin) ?? 0;
    gone.set(oldest, (gone.get(oldest) ?? new Set()).add(origin));
    shares.add(origin, -bytes);
    surplus -= bytes;
  }
  return gone;
}
