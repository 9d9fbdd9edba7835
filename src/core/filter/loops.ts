// SPDX-License-Identifier: Apache-2.0
// Loops: the same program terminates, is started again, and terminates. One says so when it begins, when it changes and when it ends; what it
// says is in telemetry/loop.ts, which terminations may belong to one in loop-member.ts, and when one is a loop in loop.ts. Time is an argument.
import { Displaced, FairMap } from '../shares.ts';
import type { LoopEndValue, LoopStateValue } from '../telemetry/semconv.ts';
import type { Death } from '../wire/event.ts';
import {
  append,
  countInMinute,
  endOf,
  isFast,
  isLoop,
  isOver,
  type Loop,
  newLoop,
  ranBeside,
  restoredLoop,
  starterOf,
} from './loop.ts';
import { type LoopFacts, OUTCOMES_MAX, withOutcome } from './loop-facts.ts';
import type { Comeback, LoopMember, Starter } from './loop-member.ts';

/** Programs that may be in a loop, and those that are. Beyond it, the oldest of the origin that has most is forgotten. */
export const LOOPS_MAX = 1024;
/** An event that is read later comes from a backlog. */
const LATE_MS = 1_000;
/** A loop that goes on says so once an hour. */
const REMINDER_MS = 3_600_000;

/** What a loop says of itself. */
export interface LoopNews {
  readonly state: LoopStateValue;
  /** null: it has not ended. */
  readonly end: LoopEndValue | null;
  readonly loop: LoopFacts;
}

export class Loops {
  readonly #loops = new FairMap<Loop>(LOOPS_MAX);
  readonly #begun = new Set<string>();
  /** The loop of the last process that terminated in each. */
  readonly #ofDead = new Map<string, string>();
  /** The program that each parent saw end last, of parents that are no supervisors. */
  readonly #lastOf = new FairMap<string>(LOOPS_MAX);
  /** The loop of what each process started, of processes that a supervisor started. */
  readonly #wrappers = new FairMap<string>(LOOPS_MAX);
  #news: LoopNews[] = [];
  /** When events were read last that were old by then: until they are read, no loop is over. */
  #lateMs = Number.NEGATIVE_INFINITY;
  /** Loops that were forgotten while they went on. */
  readonly forgotten = new Displaced();

  /** `before`: the result of open() in the previous run. */
  constructor(before: readonly LoopFacts[] = [], nowMs = 0) {
    for (const facts of before) {
      this.#keep(restoredLoop(facts, nowMs));
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
    if (this.#isWrapper(member, hasRecord)) return true;
    const known = this.#loops.get(member.key);
    const starter = known === undefined ? null : starterOf(known, member);
    const interrupted = this.#interrupts(member) && !starter?.isSupervisor;
    if (known === undefined || isOver(known, member) || (interrupted && !known.begun))
      return this.#first(member, nowMs);
    if (ranBeside(known, member)) return false;
    if (starter === null) return known.begun ? false : this.#first(member, nowMs);
    const isNew = !known.facts.outcomes.some(([outcome]) => outcome === member.outcome);
    append(known, member, starter, nowMs);
    this.#rememberDead(known, member.process);
    const begins = !known.begun && isLoop(known, starter);
    if (begins) this.#begin(known, member);
    if (known.begun) this.#rememberWrappers(known, starter);
    const absorbed = known.begun && (!isNew || begins);
    if (absorbed && hasRecord) countRecord(known);
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
    return loop !== undefined && isFast(loop);
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
    const isLast = lastNs > BigInt(facts.lastNs);
    loop.facts = {
      ...facts,
      count: facts.count + count,
      aggregated: facts.aggregated + (aggregates ? count : 0),
      outcomes: withOutcome(facts.outcomes, outcome, count),
      ...(isLast ? { lastNs: String(lastNs), lastAtNs: String(lastNs + offsetNs) } : {}),
    };
    countInMinute(loop, lastNs, count);
    loop.counted += count;
    loop.isLastCounted ||= isLast;
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

  /** The first termination of what may become a loop. */
  #first(member: LoopMember, nowMs: number): false {
    const known = this.#loops.get(member.key);
    if (known?.begun) this.#end(known, 'quiet');
    this.#keep(newLoop(member, nowMs));
    return false;
  }

  /** Whether it started a process of a loop, and failed because that did: it needs no record, and is no loop of its own. */
  #isWrapper({ process, exited }: LoopMember, hasRecord: boolean): boolean {
    const loop = exited ? this.#loops.get(this.#wrappers.get(process) ?? '') : undefined;
    if (!loop?.begun) return false;
    if (hasRecord) countRecord(loop);
    return true;
  }

  #rememberWrappers(loop: Loop, { wrappers }: Starter): void {
    const { key, origin } = loop.facts;
    for (const wrapper of wrappers) this.#wrappers.set(wrapper, origin, key);
  }

  /** Whether another program of the same parent terminated since: a script runs its commands, and none of them comes back by itself. */
  #interrupts({ key, parent, supervisor, origin }: LoopMember): boolean {
    if (supervisor !== null && supervisor.wrappers.length === 0) return false;
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

/** Counts a termination that has no record, because the loop has one. */
function countRecord(loop: Loop): void {
  loop.facts = { ...loop.facts, aggregated: loop.facts.aggregated + 1 };
}
