// SPDX-License-Identifier: Apache-2.0
// Loops: the same program terminates, is started again, and terminates. One says so when it begins, when it changes and when it ends; what it
// says is in telemetry/loop.ts, and which terminations may belong to one in loop-member.ts. Time is an argument.
import { Displaced, FairMap } from '../shares.ts';
import type { LoopEndValue, LoopStateValue } from '../telemetry/semconv.ts';
import { SECOND_NS } from '../time.ts';
import type { Death } from '../wire/event.ts';
import { factsOf, type LoopFacts, milliseconds, next, OUTCOMES_MAX, withOutcome } from './loop-facts.ts';
import type { Comeback, LoopMember } from './loop-member.ts';

/** The termination with which a loop begins: of a program that a supervisor starts, and of one that anything else starts. */
const BEGINS_SUPERVISED = 3;
const BEGINS = 5;
/** Programs that may be in a loop, and those that are. Beyond it, the oldest of the origin that has most is forgotten. */
export const LOOPS_MAX = 1024;
/** Terminations that are further apart are no loop, unless it began already and always took so long. */
const WINDOW_NS = 600n * SECOND_NS;
/** Without a restart for this long, and three times as long as it took before, it was not started again. */
const NOT_RESTARTED_MS = 1_000;
/** As long as that, and twice as long as it ever ran, after a restart: it runs again. */
const RECOVERED_MS = 10_000;
/** Totals of the kernel come once a second, and are that late. */
const COUNTED_MS = 3_000;
/** An event that is read later comes from a backlog. */
const LATE_MS = 1_000;
/** A loop that goes on says so once an hour. */
const REMINDER_MS = 3_600_000;
/** Beyond it, the kernel does not report a restart (RESTART_WITHIN_NS in bpf/restart.h). */
const RESTART_SEEN_MS = 60_000;
/** Waits that differ no more than this are alike. */
const GAP_FACTOR = 1.25;
const GAP_SLACK_MS = 250;
/** Beyond so many in a minute, further ones may be counted in the kernel. */
const FAST_COUNT = 10;
const MINUTE_MS = 60_000;
const MINUTE_NS = 60n * SECOND_NS;

/** What a loop says of itself. */
export interface LoopNews {
  readonly state: LoopStateValue;
  /** null: it has not ended. */
  readonly end: LoopEndValue | null;
  readonly loop: LoopFacts;
}

interface Loop {
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
  /** The last process that terminated. */
  dead: string;
}

export class Loops {
  readonly #loops = new FairMap<Loop>(LOOPS_MAX);
  readonly #begun = new Set<string>();
  /** The loop of the last process that terminated in each. */
  readonly #ofDead = new Map<string, string>();
  /** The program that each parent saw end last, of parents that are no supervisors. */
  readonly #lastOf = new FairMap<string>(LOOPS_MAX);
  #news: LoopNews[] = [];
  /** When events were read last that were old by then: until they are read, no loop is over. */
  #lateMs = Number.NEGATIVE_INFINITY;
  /** Loops that were forgotten while they went on. */
  readonly forgotten = new Displaced();

  /** `before`: the result of open() in the previous run. */
  constructor(before: readonly LoopFacts[] = [], nowMs = 0) {
    for (const facts of before) {
      // Whether it was started again meanwhile is not known.
      const loop = { ...newLoop({ ...facts, restarts: 0 }, nowMs), begun: true };
      this.#keep(loop);
      this.#begun.add(facts.key);
    }
  }

  /** True: due() has nothing to return, now or later. */
  get idle(): boolean {
    return this.#begun.size === 0 && this.#news.length === 0;
  }

  /** The loops that have not ended, in stored form: one that has not changed since is the same object. */
  open(): LoopFacts[] {
    return [...this.#begun].flatMap((key) => this.#loops.get(key)?.facts ?? []);
  }

  /**
   * Adds a termination. True: it belongs to a loop and ended as one before it, so that it needs no record; if it would have had one
   * (`hasRecord`), the loop's next record counts it.
   */
  add(member: LoopMember, hasRecord: boolean, nowMs: number): boolean {
    const known = this.#loops.get(member.key);
    const interrupted = this.#interrupts(member);
    if (known === undefined || isOver(known, member) || (interrupted && !known.begun)) {
      if (known?.begun) this.#end(known, 'quiet');
      this.#keep(newLoop(factsOf(member), nowMs, member.process));
      return false;
    }
    // It ran beside the first one: not what replaced it.
    if (member.startNs < BigInt(known.facts.firstNs)) return false;
    const gapNs = member.startNs - BigInt(known.facts.lastNs);
    const isNew = !known.facts.outcomes.some(([outcome]) => outcome === member.outcome);
    known.facts = next(known.facts, member, gapNs);
    known.seenMs = nowMs;
    if (!known.begun) known.gapsMs.push(milliseconds(gapNs));
    this.#rememberDead(known, member.process);
    countInMinute(known, member.endNs, 1);
    const begins = !known.begun && isLoop(known, member);
    if (begins) this.#begin(known, member);
    const absorbed = known.begun && (!isNew || begins);
    if (absorbed && hasRecord) known.facts = { ...known.facts, aggregated: known.facts.aggregated + 1 };
    if (begins) this.#say(known, 'began', nowMs);
    else if (known.begun && isNew && known.facts.outcomes.length <= OUTCOMES_MAX) this.#say(known, 'changed', nowMs);
    return absorbed;
  }

  /** Notes how old an event is when it is read. */
  read(event: Pick<Death, 'time_ns' | 'clock_offset_ns'>, wallMs: number, nowMs: number): void {
    if (wallMs - Number((event.time_ns + event.clock_offset_ns) / 1_000_000n) > LATE_MS) this.#lateMs = nowMs;
  }

  /** Whether the kernel may count further terminations of this loop unseen: it is fast, so that each for itself says nothing. */
  isFast(key: string): boolean {
    const loop = this.#loops.get(key);
    return loop?.begun === true && loop.minuteCount > FAST_COUNT;
  }

  /** Whether the program is in a loop. */
  has(key: string): boolean {
    return this.#begun.has(key);
  }

  /** Adds terminations that the kernel counted. False: there is no such loop any more. */
  addCounted(key: string, counted: Counted, aggregates: boolean, nowMs: number): boolean {
    const loop = this.#loops.get(key);
    if (loop === undefined || !loop.begun) return false;
    const { count, lastNs, offsetNs, outcome } = counted;
    const { facts } = loop;
    loop.facts = {
      ...facts,
      count: facts.count + count,
      aggregated: facts.aggregated + (aggregates ? count : 0),
      outcomes: withOutcome(facts.outcomes, outcome, count),
      ...(lastNs > BigInt(facts.lastNs) ? { lastNs: String(lastNs), lastAtNs: String(lastNs + offsetNs) } : {}),
    };
    countInMinute(loop, lastNs, count);
    [loop.seenMs, loop.countedMs] = [nowMs, nowMs];
    return true;
  }

  /** Notes a restart. True: the program is in a loop, whose records say that it is started again. */
  restarted({ dead, key, ...restart }: Comeback, nowMs: number): boolean {
    const loop = this.#loops.get(this.#ofDead.get(dead) ?? key ?? '');
    if (loop === undefined) return false;
    const { facts } = loop;
    const by = restart.by === null ? {} : { about: { ...facts.about, restarter: restart.by } };
    loop.facts = { ...facts, restarts: facts.restarts + 1, ...by };
    [loop.restartNs, loop.restartMs] = [restart.atNs, nowMs];
    return loop.begun;
  }

  /** What is to be said at `nowMs`, each once. Infinity: the service ends, and a loop that goes on says what it has not said. */
  due(nowMs: number): LoopNews[] {
    for (const key of this.#begun) {
      const loop = this.#loops.get(key) as Loop;
      if (nowMs === Number.POSITIVE_INFINITY) {
        if (loop.facts.aggregated > 0) this.#say(loop, 'continues', loop.saidMs);
        continue;
      }
      const end = endOf(loop, nowMs, this.#lateMs);
      if (end !== null) this.#end(loop, end);
      else if (nowMs - loop.saidMs >= REMINDER_MS) this.#say(loop, 'continues', nowMs);
    }
    const news = this.#news;
    this.#news = [];
    return news;
  }

  /** Whether another program of the same parent terminated since: a script runs its commands, and none of them comes back by itself. */
  #interrupts({ key, parent, supervised, origin }: LoopMember): boolean {
    if (supervised) return false;
    const last = this.#lastOf.get(parent);
    this.#lastOf.set(parent, origin, key);
    return last !== undefined && last !== key;
  }

  #begin(loop: Loop, { command }: LoopMember): void {
    loop.begun = true;
    loop.gapsMs = [];
    loop.facts = { ...loop.facts, command: command() };
    this.#begun.add(loop.facts.key);
  }

  #say(loop: Loop, state: LoopStateValue, nowMs: number, end: LoopEndValue | null = null): void {
    this.#news.push({ state, end, loop: loop.facts });
    loop.facts = { ...loop.facts, aggregated: 0, said: loop.facts.said + 1 };
    loop.saidMs = nowMs;
  }

  #end(loop: Loop, end: LoopEndValue): void {
    this.#say(loop, 'ended', loop.saidMs, end);
    this.#forget(loop);
    this.#loops.delete(loop.facts.key);
  }

  #forget({ facts, dead }: Loop): void {
    this.#begun.delete(facts.key);
    this.#ofDead.delete(dead);
  }

  #keep(loop: Loop): void {
    const { key, origin } = loop.facts;
    const before = this.#loops.get(key);
    if (before !== undefined) this.#forget(before);
    const displaced = this.#loops.set(key, origin, loop);
    this.#rememberDead(loop, loop.dead);
    if (displaced === null) return;
    if (displaced.value.begun) {
      this.forgotten.add(displaced.origin);
      this.#say(displaced.value, 'ended', 0, 'forgotten');
    }
    this.#forget(displaced.value);
  }

  #rememberDead(loop: Loop, dead: string): void {
    this.#ofDead.delete(loop.dead);
    loop.dead = dead;
    if (dead !== '') this.#ofDead.set(dead, loop.facts.key);
  }
}

/** Terminations that the kernel counted: the last one, and their number. */
export interface Counted {
  readonly count: number;
  readonly lastNs: bigint;
  readonly offsetNs: bigint;
  readonly outcome: string;
}

function newLoop(facts: LoopFacts, nowMs: number, dead = ''): Loop {
  const times = { seenMs: nowMs, saidMs: nowMs, restartNs: 0n, restartMs: 0, countedMs: Number.NEGATIVE_INFINITY };
  return { facts, begun: false, gapsMs: [], ...times, minuteNs: BigInt(facts.lastNs), minuteCount: 1, dead };
}

function countInMinute(loop: Loop, atNs: bigint, count: number): void {
  if (atNs - loop.minuteNs >= MINUTE_NS) [loop.minuteNs, loop.minuteCount] = [atNs, 0];
  loop.minuteCount += count;
}

/** Whether a termination comes too late to belong to it. */
function isOver({ facts, begun }: Loop, { endNs }: LoopMember): boolean {
  const since = endNs - BigInt(facts.lastNs);
  if (begun) return since > WINDOW_NS && milliseconds(since) > 3 * (facts.longestGapMs + facts.longestLifeMs);
  return endNs - BigInt(facts.firstNs) > WINDOW_NS;
}

function isLoop({ facts, gapsMs }: Loop, { supervised }: LoopMember): boolean {
  if (supervised) return facts.count >= BEGINS_SUPERVISED;
  return facts.count >= BEGINS && isRegular(gapsMs.slice(1 - BEGINS));
}

/** What starts a program again waits alike each time, or longer each time. A person does not. */
function isRegular(gapsMs: readonly number[]): boolean {
  const least = Math.min(...gapsMs);
  if (Math.max(...gapsMs) <= least * GAP_FACTOR + GAP_SLACK_MS) return true;
  return gapsMs.every((gapMs, index) => index === 0 || gapMs >= (gapsMs[index - 1] ?? 0));
}

/** null: it goes on, as far as is known. */
function endOf(loop: Loop, nowMs: number, lateMs: number): LoopEndValue | null {
  const { facts, restartNs, countedMs } = loop;
  const [seenMs, restartMs] = [Math.max(loop.seenMs, lateMs), Math.max(loop.restartMs, lateMs)];
  // A key of it may be armed for a minute since.
  const late = nowMs - countedMs < COUNTED_MS + MINUTE_MS ? COUNTED_MS : 0;
  const recoveredMs = Math.max(RECOVERED_MS, 2 * facts.longestLifeMs) + late;
  const idleMs = nowMs - seenMs;
  if (restartNs > BigInt(facts.lastNs)) return nowMs - restartMs >= recoveredMs ? 'recovered' : null;
  const graceMs = Math.max(NOT_RESTARTED_MS, 3 * facts.longestGapMs) + late;
  // Most restarts were seen, so that this one would have been, too.
  const wouldBeSeen = facts.restarts * 2 >= facts.count - 1 && facts.longestGapMs < RESTART_SEEN_MS;
  if (wouldBeSeen) return idleMs >= graceMs ? 'not_restarted' : null;
  return idleMs >= graceMs + recoveredMs ? 'quiet' : null;
}
