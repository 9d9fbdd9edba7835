// SPDX-License-Identifier: Apache-2.0
// One program that terminates, is started again, and terminates: when that is a loop, and when the loop is over. loops.ts has all of them. Time is
// an argument.
import type { LoopEndValue } from '../telemetry/semconv.ts';
import { SECOND_NS } from '../time.ts';
import { factsOf, type LoopFacts, milliseconds, next } from './loop-facts.ts';
import { type LoopMember, type Starter, starterLabel } from './loop-member.ts';

/** The termination with which a loop begins: of a program that a supervisor starts, and of one that anything else starts. */
const BEGINS_SUPERVISED = 3;
const BEGINS = 5;
/** Terminations that are further apart are no loop, unless it began already and always took so long. */
const WINDOW_NS = 600n * SECOND_NS;
/** Without a restart for this long, and three times as long as it took before, it was not started again. */
const NOT_RESTARTED_MS = 1_000;
/** As long as that, and twice as long as it ever ran, after a restart: it runs again. */
const RECOVERED_MS = 10_000;
/** Totals of the kernel come once a second, and are that late. */
const COUNTED_MS = 3_000;
/** Beyond it, the kernel does not report a restart (RESTART_WITHIN_NS in bpf/restart.h). */
const RESTART_SEEN_MS = 60_000;
/** Waits that differ no more than this are alike. */
const GAP_FACTOR = 1.25;
const GAP_SLACK_MS = 250;
/** Beyond so many in a minute, further ones may be counted in the kernel. Most supervisors give up before. */
const FAST_COUNT = 100;
const MINUTE_MS = 60_000;
const MINUTE_NS = 60n * SECOND_NS;

export interface Loop {
  facts: LoopFacts;
  begun: boolean;
  /** The gaps so far, of one that has not begun. */
  gapsMs: number[];
  /** When the last event of it was read, ms of a steady clock. */
  seenMs: number;
  saidMs: number;
  /** When the last restart was: since boot; 0n: none. */
  restartNs: bigint;
  restartMs: number;
  countedMs: number;
  minuteNs: bigint;
  minuteCount: number;
  /** The last process that terminated, and its parent. '': in an earlier run. */
  dead: string;
  parent: string;
  /** Terminations that the kernel counted: it does not report restarts of these. */
  counted: number;
  isLastCounted: boolean;
}

export function newLoop(member: LoopMember, nowMs: number): Loop {
  return { ...loopOf(factsOf(member), nowMs), dead: member.process, parent: member.parent };
}

/** One of an earlier run: whether it was started again meanwhile is not known. */
export function restoredLoop(facts: LoopFacts, nowMs: number): Loop {
  return { ...loopOf({ ...facts, restarts: 0 }, nowMs), begun: true };
}

function loopOf(facts: LoopFacts, nowMs: number): Loop {
  const times = { seenMs: nowMs, saidMs: nowMs, restartNs: 0n, restartMs: 0, countedMs: Number.NEGATIVE_INFINITY };
  const minute = { minuteNs: BigInt(facts.lastNs), minuteCount: 1 };
  return {
    facts,
    begun: false,
    gapsMs: [],
    ...times,
    ...minute,
    dead: '',
    parent: '',
    counted: 0,
    isLastCounted: false,
  };
}

/** Whether the process ran beside the first one: it did not replace it. */
export function ranBeside({ facts }: Loop, { startNs }: LoopMember): boolean {
  return startNs < BigInt(facts.firstNs);
}

/**
 * What started the process of a later termination again: a supervisor, if what is between it and the process was started since the first
 * termination, too; else its parent. null: the parent is another one.
 */
export function starterOf({ facts, parent }: Loop, member: LoopMember): Starter | null {
  const { supervisor } = member;
  if (supervisor !== null && supervisor.startNs >= BigInt(facts.firstNs)) return supervisor;
  return parent === '' || parent === member.parent ? member.starter : null;
}

/** Adds a termination. */
export function append(loop: Loop, member: LoopMember, starter: Starter, nowMs: number): void {
  const { about, endNs } = member;
  const gapNs = starter.startNs - BigInt(loop.facts.lastNs);
  const restarter = starter.process === null ? null : starterLabel(starter.process, member.mode);
  const isUnit = about.isUnit && starter.isSupervisor;
  loop.facts = next(loop.facts, { ...member, about: { ...about, restarter, isUnit } }, gapNs);
  loop.seenMs = nowMs;
  loop.parent = member.parent;
  loop.isLastCounted = false;
  if (!loop.begun) loop.gapsMs.push(milliseconds(gapNs));
  countInMinute(loop, endNs, 1);
}

export function countInMinute(loop: Loop, atNs: bigint, count: number): void {
  if (atNs - loop.minuteNs >= MINUTE_NS) [loop.minuteNs, loop.minuteCount] = [atNs, 0];
  loop.minuteCount += count;
}

/** Whether a termination comes too late to belong to it. */
export function isOver({ facts, begun }: Loop, { endNs }: LoopMember): boolean {
  const since = endNs - BigInt(facts.lastNs);
  if (begun) return since > WINDOW_NS && milliseconds(since) > 3 * (facts.longestGapMs + facts.longestLifeMs);
  return endNs - BigInt(facts.firstNs) > WINDOW_NS;
}

/** Whether the program is in a loop with its last termination. */
export function isLoop({ facts, gapsMs }: Loop, { isSupervisor }: Starter): boolean {
  if (isSupervisor) return facts.count >= BEGINS_SUPERVISED;
  return facts.count >= BEGINS && isRegular(gapsMs.slice(1 - BEGINS));
}

/** What starts a program again waits alike each time, or longer each time. A person does not. */
function isRegular(gapsMs: readonly number[]): boolean {
  const least = Math.min(...gapsMs);
  if (Math.max(...gapsMs) <= least * GAP_FACTOR + GAP_SLACK_MS) return true;
  return gapsMs.every((gapMs, index) => index === 0 || gapMs >= (gapsMs[index - 1] ?? 0));
}

/** Whether it terminates so often that each termination for itself says nothing. */
export function isFast({ begun, minuteCount }: Loop): boolean {
  return begun && minuteCount > FAST_COUNT;
}

/** null: it goes on, as far as is known. */
export function endOf(loop: Loop, nowMs: number, lateMs: number): LoopEndValue | null {
  const { facts, restartNs, countedMs } = loop;
  const [seenMs, restartMs] = [Math.max(loop.seenMs, lateMs), Math.max(loop.restartMs, lateMs)];
  // A key of it may be armed for a minute since.
  const late = nowMs - countedMs < COUNTED_MS + MINUTE_MS ? COUNTED_MS : 0;
  const recoveredMs = Math.max(RECOVERED_MS, 2 * facts.longestLifeMs) + late;
  const idleMs = nowMs - seenMs;
  if (restartNs > BigInt(facts.lastNs)) return nowMs - restartMs >= recoveredMs ? 'recovered' : null;
  const graceMs = Math.max(NOT_RESTARTED_MS, 3 * facts.longestGapMs) + late;
  // Most restarts were seen, so that this one would have been, too.
  const areSeen = facts.restarts * 2 >= facts.count - loop.counted - 1 && facts.longestGapMs < RESTART_SEEN_MS;
  const wouldBeSeen = areSeen && !loop.isLastCounted;
  if (wouldBeSeen) return idleMs >= graceMs ? 'not_restarted' : null;
  return idleMs >= graceMs + recoveredMs ? 'quiet' : null;
}
