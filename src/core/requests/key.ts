// SPDX-License-Identifier: Apache-2.0
// Which process it is, also when its pid is used again.
import type { Actor } from '../wire/event.ts';

export function keyOf({ pid, start_boottime_ns: startNs }: Pick<Actor, 'pid' | 'start_boottime_ns'>): string {
  return `${pid}/${startNs}`;
}
