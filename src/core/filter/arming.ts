// SPDX-License-Identifier: Apache-2.0
// Has the kernel count further terminations like one that has no record (docs/decisions/0065), if no reader needs one of them: neither a
// record, nor the loops (loops.ts).
import { isCertainStop } from '../verdict/origin.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Death } from '../wire/event.ts';
import type { Candidate, CrashLoops } from './aggregate.ts';
import type { LoopMember } from './loop-member.ts';
import type { Loops } from './loops.ts';
import type { CountedMember } from './members.ts';
import { ARMED_NS, filteredUntil, type Repeats } from './repeats.ts';
import type { Rule, Subject } from './rules.ts';

/** How long those are only counted that may belong to a loop: then some are received again. */
const MAY_LOOP_NS = 10_000_000_000n;
/** A termination that is read this late was behind others in the ring. One that is read later than MISSED_NS waited while no service ran. */
const LATE_NS = 1_000_000_000n;
const MISSED_NS = 60_000_000_000n;

export interface Arming {
  readonly loops: CrashLoops;
  readonly restartLoops: Loops;
  readonly repeats: Repeats;
  readonly rules: readonly Rule[];
}

/** What became of the termination. */
export interface Concluded {
  readonly uid: string;
  readonly outcome: 'reported' | 'filtered' | 'aggregated';
  readonly subject: Subject;
  readonly rule: Rule;
  readonly verdict: Pick<Verdict, 'errorType'>;
  readonly candidate: Candidate;
  /** null: it cannot belong to a loop. */
  readonly loopMember: LoopMember | null;
  /** It belongs to a loop, which counts it. */
  readonly isInLoop: boolean;
  /** Absent: it belongs to no incident. */
  readonly member?: CountedMember & { readonly countUntilNs: bigint | null };
}

/** Arms the key of the termination. `lateNs`: from the termination until it was read. */
export function arm(state: Arming, death: Death, concluded: Concluded, bootId: string, lateNs: bigint): void {
  const { uid, outcome, subject, rule, candidate, verdict, loopMember, isInLoop, member } = concluded;
  if (outcome === 'reported') return;
  if (subject.exitCode === 0 && !isCertainStop(death)) return;
  if (state.repeats.isArmed(death, bootId)) return;
  const untilNs = armedUntil(state, death, concluded);
  if (untilNs === null) return;
  const { endedNs: _, command, ...same } = candidate;
  const loop = loopMember === null || !isInLoop ? null : { key: loopMember.key, outcome: loopMember.outcome };
  const counted = { as: outcome, uid, errorType: verdict.errorType, metric: rule.action !== 'ignore' };
  const meaning = { ...same, ...counted, command: command(), loop };
  const joined = member && { incident: member.incident, name: member.name, status: member.status };
  const laterNs = whileLate(untilNs, death, lateNs);
  state.repeats.arm(death, bootId, joined === undefined ? meaning : { ...meaning, member: joined }, laterNs);
}

/** In a storm that the service cannot follow, its time may be over before it is armed: then for as long as the service is behind. */
function whileLate(untilNs: bigint, { time_ns: timeNs }: Death, lateNs: bigint): bigint {
  const isLate = lateNs > LATE_NS && lateNs < MISSED_NS;
  const caughtUpNs = timeNs + 2n * lateNs;
  return isLate && caughtUpNs > untilNs ? caughtUpNs : untilNs;
}

/** null: further ones are to be received. */
function armedUntil(
  { loops, restartLoops, repeats, rules }: Arming,
  death: Death,
  concluded: Concluded,
): bigint | null {
  const { outcome, subject, candidate, loopMember, isInLoop, member } = concluded;
  if (outcome === 'filtered') {
    const untilNs = filteredUntil(death, subject, rules);
    if (untilNs === null || loopMember === null) return untilNs;
    const isFast = isInLoop ? restartLoops.isFast(loopMember.key) : repeats.isFrequent(death);
    return isFast ? death.time_ns + MAY_LOOP_NS : null;
  }
  if (member !== undefined) return member.countUntilNs;
  if (!isInLoop || loopMember === null) return loops.countUntil(candidate.key) - death.clock_offset_ns;
  return restartLoops.isFast(loopMember.key) ? death.time_ns + ARMED_NS : null;
}
