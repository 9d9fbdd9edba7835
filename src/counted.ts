// SPDX-License-Identifier: Apache-2.0
// Terminations that are only counted, because their key is armed (docs/decisions/0065): by the kernel, which reports totals, or here, if they
// were on the way when it was armed. pipeline.ts handles all others.
import type { Meaning } from './core/filter/repeats.ts';
import type { Counted } from './core/history/unreported.ts';
import { type OriginKey, OTHER_ORIGINS } from './core/shares.ts';
import type { Attributes } from './core/telemetry/attributes.ts';
import { recordUid, uidOf } from './core/telemetry/uid.ts';
import type { Verdict } from './core/verdict/verdict.ts';
import type { Death } from './core/wire/event.ts';
import type { Equal, Repeat } from './core/wire/repeat.ts';
import type { Item } from './io/queue/queue.ts';
import type { State } from './state.ts';

/** What it needs of the pipeline. */
export interface Counting {
  readonly state: State;
  readonly clock: { readonly steadyMs: () => number };
  readonly effects: {
    readonly countTermination: (
      resource: Attributes,
      verdict: Pick<Verdict, 'cause' | 'errorType'>,
      origin: OriginKey,
      times: number,
    ) => void;
    readonly keepUnreported: ((counted: Counted) => void) | null;
    readonly unknownRepeats: (count: number) => void;
  };
}

/** Terminations with one key. The first one is not earlier than `firstNs`; times are since boot. */
interface Counts {
  readonly as: Repeat['as'];
  readonly count: number;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  readonly offsetNs: bigint;
}

/** Returns the item that counts what the total adds. null: nothing. */
export function handleRepeat(counting: Counting, repeat: Repeat, bootId: string): Item | null {
  const { count, firstNs, lastNs, meaning } = counting.state.repeats.count(repeat, bootId);
  if (count === 0) return null;
  const counts = { as: repeat.as, count, firstNs, lastNs, offsetNs: repeat.clock_offset_ns };
  return countThem(counting, uidOf(`${bootId}/repeat/${repeat.id}/${repeat.total}`), meaning, counts);
}

/** A termination whose key was armed before it was read, in short. */
export function equalOf({ seq, time_ns, clock_offset_ns, repeat, process }: Death, { as }: Meaning): Equal {
  const { pid, start_boottime_ns } = process;
  return { type: 'equal', seq, time_ns, clock_offset_ns, key: repeat?.key ?? '', as, pid, start_boottime_ns };
}

/** Returns the item that counts it. null: it was counted before. `meaning` null: the key is not known. */
export function handleEqual(counting: Counting, equal: Equal, bootId: string, meaning: Meaning | null): Item | null {
  const { state } = counting;
  const { as, time_ns: timeNs, clock_offset_ns: offsetNs } = equal;
  const uid = recordUid(bootId, equal.pid, equal.start_boottime_ns);
  if (!state.seen.add(uid)) {
    state.duplicates += 1;
    return null;
  }
  return countThem(counting, uid, meaning, { as, count: 1, firstNs: timeNs, lastNs: timeNs, offsetNs });
}

function countThem(counting: Counting, uid: string, meaning: Meaning | null, counts: Counts): Item {
  const { as, count, lastNs, offsetNs } = counts;
  if (meaning === null) counting.effects.unknownRepeats(count);
  else addCounts(counting, meaning, counts);
  const kind = as === 'aggregated' ? { kind: as } : {};
  const endedMs = Number((lastNs + offsetNs) / 1_000_000n);
  return { uid, origin: meaning?.origin ?? OTHER_ORIGINS, ...kind, endedMs, record: null, times: count };
}

/** Counts them in the metrics, and in the minute, the incident or the loop to which they belong. */
function addCounts({ state, clock, effects }: Counting, meaning: Meaning, counts: Counts): void {
  const { as, count, firstNs, lastNs, offsetNs } = counts;
  const { key, origin, cause, resource, metric, member, loop = null, command = null, cgroup = null } = meaning;
  if (cause !== 'graceful_stop') state.recent.add(key, origin, lastNs, count);
  if (metric) effects.countTermination(resource, meaning, origin, count);
  if (meaning.uid !== undefined) effects.keepUnreported?.({ uid: meaning.uid, counted: count });
  const nowMs = clock.steadyMs();
  const last = { ...meaning, endedNs: lastNs + offsetNs, cgroup, command: () => command };
  const joined = member && state.incidents.addCounted(member.incident, { ...last, ...member, pid: null }, count, nowMs);
  const aggregates = as === 'aggregated' && !joined;
  const counted = { count, lastNs, offsetNs, outcome: loop?.outcome ?? '' };
  const isInLoop = loop !== null && state.restartLoops.addCounted(loop.key, counted, aggregates, nowMs);
  if (aggregates && !isInLoop) state.loops.addCounted(last, count, firstNs + offsetNs, nowMs);
}
