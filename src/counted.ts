// SPDX-License-Identifier: Apache-2.0
// Terminations that are only counted, because their key is armed (docs/decisions/0065): by the kernel, which reports totals, or here, if they
// were on the way when it was armed. pipeline.ts handles all others.
import type { Meaning } from './core/filter/repeats.ts';
import type { Counted } from './core/history/unreported.ts';
import { type OriginKey, OTHER_ORIGINS } from './core/shares.ts';
import type { Attributes } from './core/telemetry/attributes.ts';
import { recordUid, uidOf } from './core/telemetry/uid.ts';
import type { Verdict } from './core/verdict/verdict.ts';
import type { Death, Repeat } from './core/wire/event.ts';
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
interface Equal {
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
  const equal = { as: repeat.as, count, firstNs, lastNs, offsetNs: repeat.clock_offset_ns };
  if (meaning === null) counting.effects.unknownRepeats(count);
  else countEqual(counting, meaning, equal);
  const uid = uidOf(`${bootId}/repeat/${repeat.id}/${repeat.total}`);
  return itemOf(uid, meaning?.origin ?? OTHER_ORIGINS, equal);
}

/** Returns the item that counts a termination whose key was armed before it was read. null: it was counted before. */
export function handleEqual(counting: Counting, death: Death, bootId: string, meaning: Meaning): Item | null {
  const { state } = counting;
  const { process, time_ns: timeNs, clock_offset_ns: offsetNs } = death;
  const uid = recordUid(bootId, process.pid, process.start_boottime_ns);
  if (!state.seen.add(uid)) {
    state.duplicates += 1;
    return null;
  }
  const equal = { as: meaning.as, count: 1, firstNs: timeNs, lastNs: timeNs, offsetNs };
  countEqual(counting, meaning, equal);
  return itemOf(uid, meaning.origin, equal);
}

function itemOf(uid: string, origin: OriginKey, { as, count, lastNs, offsetNs }: Equal): Item {
  const kind = as === 'aggregated' ? { kind: as } : {};
  return { uid, origin, ...kind, endedMs: Number((lastNs + offsetNs) / 1_000_000n), record: null, times: count };
}

/** Counts them in the metrics, and in the minute, the incident or the loop to which they belong. */
function countEqual({ state, clock, effects }: Counting, meaning: Meaning, equal: Equal): void {
  const { as, count, firstNs, lastNs, offsetNs } = equal;
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
