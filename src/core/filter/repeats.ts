// SPDX-License-Identifier: Apache-2.0
// Equal terminations that the kernel only counts (docs/decisions/0065): which keys are armed, what their terminations count as, and how much
// of each total is counted already. The loader's totals only grow, so a total that is received again counts nothing. Time is an argument.
import { FairMap } from '../shares.ts';
import type { Death, Hello } from '../wire/event.ts';
import type { Repeat } from '../wire/repeat.ts';
import type { Candidate } from './aggregate.ts';
import { firstCertain } from './match.ts';
import type { CountedMember } from './members.ts';
import type { Rule, Subject } from './rules.ts';

/** How long a key of filtered terminations is armed: then some are received again, and the rules decide again. */
export const ARMED_NS = 60_000_000_000n;
/** Keys that are known at once. */
export const KEYS_MAX = 1024;

/** Terminations with one key that are received before it is armed, and again after that is over: a loop among them shows (loops.ts). */
export const RECEIVED_FIRST = 6;

/** What the terminations with one key count as. */
export interface Meaning extends Omit<Candidate, 'endedNs' | 'command' | 'cgroup'> {
  readonly as: Repeat['as'];
  /** Of the termination that armed the key. Absent: stored by version 0.1.0, like the next three. */
  readonly uid?: string;
  readonly command?: string | null;
  readonly cgroup?: string | null;
  /** The loop to which they belong, and their outcome in it. null: none. */
  readonly loop?: { readonly key: string; readonly outcome: string } | null;
  /** null: no error. */
  readonly errorType: string | null;
  /** Absent: they are no members of an incident. */
  readonly member?: CountedMember;
  /** They are counted in the metric. */
  readonly metric: boolean;
}

/** One key, as it is stored. */
export interface StoredRepeat {
  readonly key: string;
  readonly origin: string;
  readonly bootId: string;
  /** The loader's entry; null: not received yet. */
  readonly id: string | null;
  /** How much of its total is counted. */
  readonly total: string;
  readonly meaning: Meaning;
}

/** A request to the loader. */
export interface ArmRequest {
  readonly key: string;
  readonly as: Repeat['as'];
  readonly untilNs: bigint;
}

/** How many terminations a total adds to what was counted. `meaning` null: the key is not known, as the service's state was lost. */
export interface Increase {
  readonly count: number;
  /** CLOCK_BOOTTIME; the first one is not earlier. */
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  readonly meaning: Meaning | null;
}

interface Known {
  readonly origin: string;
  readonly bootId: string;
  readonly meaning: Meaning;
  readonly untilNs: bigint;
  readonly id: bigint | null;
  readonly total: bigint;
  readonly lastNs: bigint;
  readonly stored: StoredRepeat;
}

export class Repeats {
  readonly #known = new Map<string, Known>();
  readonly #received = new FairMap<number>(KEYS_MAX);
  #requests: ArmRequest[] = [];
  /** Keys of one origin: the loader arms no more. */
  #originKeysMax = 0;

  /** `before`: what the previous run stored. */
  constructor(before: readonly StoredRepeat[] = []) {
    for (const { key, id, total, ...same } of before)
      this.#know(key, { ...same, untilNs: 0n, id: id === null ? null : BigInt(id), total: BigInt(total), lastNs: 0n });
  }

  /** A loader that arms at most so many keys of one origin: no user takes the places of another. */
  greet({ origin_keys_max }: Pick<Hello, 'origin_keys_max'>): void {
    this.#originKeysMax = origin_keys_max;
  }

  /** Notes a termination. False: so few with its key were received since it was armed last that a loop would not show. */
  isFrequent({ repeat, origin: { cgroup, uid } }: Death): boolean {
    if (repeat === null) return false;
    const received = (this.#received.get(repeat.key) ?? 0) + 1;
    this.#received.set(repeat.key, `${uid}/${cgroup}`, received);
    return received >= RECEIVED_FIRST;
  }

  /** Whether the key was armed when the process terminated: then the kernel had a reason to report it. */
  isArmed({ repeat, time_ns: timeNs }: Death, bootId: string): boolean {
    const known = repeat === null ? undefined : this.#known.get(repeat.key);
    return known !== undefined && known.bootId === bootId && known.untilNs > timeNs;
  }

  /**
   * What a termination counts as whose key was armed before it was read: the kernel would have counted it, too. null: it is to be looked at.
   * What others caused may have a record nevertheless (bpf/repeats.h).
   */
  meaningOf(death: Death, bootId: string): Meaning | null {
    const known = death.repeat === null || isCaused(death) ? undefined : this.#known.get(death.repeat.key);
    return known !== undefined && known.bootId === bootId && known.untilNs > death.time_ns ? known.meaning : null;
  }

  /** What the terminations with this key count as. null: the key is not known, as the service's state was lost. */
  meaningOfKey(key: string, bootId: string): Meaning | null {
    const known = this.#known.get(key);
    return known?.bootId === bootId ? known.meaning : null;
  }

  /** Arms the key of a termination, if it has one and is not armed. */
  arm(
    { repeat, origin: { cgroup, uid }, time_ns: timeNs }: Death,
    bootId: string,
    meaning: Meaning,
    untilNs: bigint,
  ): void {
    if (repeat === null || untilNs <= timeNs) return;
    const known = this.#known.get(repeat.key);
    const same = known !== undefined && known.bootId === bootId ? known : null;
    // Under another meaning, what was counted before must be received first.
    if (same !== null && same.meaning.as !== meaning.as) return;
    const origin = `${uid}/${cgroup}`;
    if (same === null && !this.#hasRoom(origin, bootId)) return;
    const { id, total, lastNs } = same ?? { id: null, total: 0n, lastNs: 0n };
    this.#know(repeat.key, { origin, bootId, meaning, untilNs, id, total, lastNs });
    this.#received.delete(repeat.key);
    this.#requests.push({ key: repeat.key, as: meaning.as, untilNs });
  }

  /** The rules are others: what the kernel does not count under a filtered key is looked at again. It counts until the key's time is over. */
  rulesChanged(): void {
    for (const [key, known] of this.#known)
      if (known.meaning.as === 'filtered') this.#know(key, { ...known, untilNs: 0n });
  }

  /** What the total adds to what was counted. */
  count(repeat: Repeat, bootId: string): Increase {
    const { key, id, total, first_ns: firstNs, last_ns: lastNs } = repeat;
    const known = this.#known.get(key);
    const ours = known?.bootId === bootId ? known : undefined;
    const before = ours?.id === id ? ours : { total: 0n, lastNs: 0n };
    const count = total > before.total ? Number(total - before.total) : 0;
    if (ours !== undefined && count > 0) this.#know(key, { ...ours, id, total, lastNs });
    return { count, firstNs: before.lastNs || firstNs, lastNs, meaning: ours?.meaning ?? null };
  }

  /** Forgets the entries that the loader does not have any more. */
  keep(ids: readonly bigint[], bootId: string): void {
    const kept = new Set(ids);
    for (const [key, known] of this.#known) {
      if (known.bootId !== bootId || (known.id !== null && !kept.has(known.id))) this.#known.delete(key);
    }
  }

  /** Whether requests() has any. */
  get hasRequests(): boolean {
    return this.#requests.length > 0;
  }

  /** Returns the requests since the last call. */
  requests(): readonly ArmRequest[] {
    const requests = this.#requests;
    this.#requests = [];
    return requests;
  }

  /** Every key, in the form in which it is stored: one that has not changed since is the same object. */
  stored(): readonly StoredRepeat[] {
    return [...this.#known.values()].map(({ stored }) => stored);
  }

  #know(key: string, known: Omit<Known, 'stored'>): void {
    const { origin, bootId, id, total, meaning } = known;
    const stored = { key, origin, bootId, id: id === null ? null : String(id), total: String(total), meaning };
    this.#known.set(key, { ...known, stored });
  }

  /** Whether another key of this origin has a place. Keys of an earlier boot, and those that the loader did not arm, make room. */
  #hasRoom(origin: string, bootId: string): boolean {
    let same = 0;
    for (const [key, known] of this.#known) {
      if (known.bootId !== bootId) this.#known.delete(key);
      else if (known.origin === origin) same += 1;
    }
    if (same < this.#originKeysMax && this.#known.size < KEYS_MAX) return true;
    const unused = [...this.#known].find(
      ([, known]) => known.id === null && (same < this.#originKeysMax || known.origin === origin),
    );
    return unused !== undefined && this.#known.delete(unused[0]);
  }
}

/** Whether anything but the process itself may have terminated it. */
function isCaused({ status_raw, signal, request, fault, handled_fault, oom_victim }: Death): boolean {
  const exited = (status_raw & 0xff) === 0;
  return !exited || signal !== null || request !== null || fault !== null || handled_fault !== null || oom_victim;
}

/** Until when filtered terminations with this key need not be received: the rules decide alike for all of them. null: they may not. */
export function filteredUntil(death: Death, subject: Subject, rules: readonly Rule[]): bigint | null {
  if (death.repeat === null) return null;
  const rule = firstCertain(subject, death.repeat, rules);
  return rule === null || rule.action === 'report' ? null : death.time_ns + ARMED_NS;
}
