// SPDX-License-Identifier: Apache-2.0
// Bounded memories of earlier terminations: which were seen (to drop duplicates), the latest ones, and how often each service terminated
// recently. Time is an argument.
import type { Identities, Identity } from '../identity/identity.ts';
import { Displaced, FairMap, type OriginKey } from '../shares.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Actor, Victim } from '../wire/event.ts';

/**
 * A set that remembers at least its last `limit` members, and at most twice as many. It has two generations, because deleting members one
 * by one is the most expensive operation of a Set.
 */
export class Seen {
  readonly #limit: number;
  #young = new Set<string>();
  #old: ReadonlySet<string>;

  /** `members`: those of the previous run, at most `limit`. */
  constructor(limit: number, members: Iterable<string> = []) {
    this.#limit = limit;
    this.#old = new Set(members);
  }

  /** Adds a member. False: it was already in the set. */
  add(member: string): boolean {
    if (this.#young.has(member) || this.#old.has(member)) return false;
    this.#young.add(member);
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    return true;
  }
}

/** The last members of each origin, at most `limit` in all, oldest first. */
export class Last<T> {
  readonly #members: FairMap<T>;
  #added = 0;

  constructor(limit: number) {
    this.#members = new FairMap(limit);
  }

  add(member: T, origin: OriginKey): void {
    this.#added += 1;
    this.#members.set(String(this.#added), origin, member);
  }

  members(): readonly T[] {
    return this.#members.members().map(({ value }) => value);
  }
}

/** Terminations that are remembered for those that follow from them. */
const ENDINGS_MAX = 1024;

/** How a process ended. */
export interface Ending {
  readonly name: string;
  readonly pid: number;
  readonly program: Pick<Identity, 'name' | 'program' | 'executable' | 'executableName'>;
  /** CLOCK_BOOTTIME. */
  readonly timeNs: bigint;
  /** null: it has no record of its own. */
  readonly uid: string | null;
  /** A clause: core/words/sentence.ts, ending(). */
  readonly words: string;
}

/** A pipe has the number of another one that was closed, after four thousand million others. */
const READER_NS = 600_000_000_000n;

/** How the last processes of each origin ended. */
export class Endings {
  readonly #endings = new FairMap<Ending>(ENDINGS_MAX);
  /** By the pipe that was its standard input. */
  readonly #readers = new FairMap<Ending>(ENDINGS_MAX);

  add(process: Victim, origin: OriginKey, ending: Ending): void {
    this.#endings.set(keyOf(process), origin, ending);
    const input = process.pipes?.input ?? null;
    if (input !== null) this.#readers.set(String(input), origin, ending);
  }

  /** The last process that read the output of this writer, and ended before. null: it has not ended, or that is not known. */
  readerOf({ pipes }: Victim, timeNs: bigint): Ending | null {
    const output = pipes?.output ?? null;
    const reader = output === null ? undefined : this.#readers.get(String(output));
    return reader !== undefined && timeNs >= reader.timeNs && timeNs - reader.timeNs <= READER_NS ? reader : null;
  }

  /** A process that terminates has no executable any more when the kernel sends signals for it. Its own termination had one. */
  named(identities: Identities, { trigger: act }: Verdict): Identities {
    const { trigger } = identities;
    const ending = act === null || trigger?.executable !== null ? null : this.of(act.task);
    return trigger === null || ending === null
      ? identities
      : { ...identities, trigger: { ...trigger, ...ending.program } };
  }

  /** null: it has not ended, or that is not known. */
  of(process: Process): Ending | null {
    return this.#endings.get(keyOf(process)) ?? null;
  }
}

type Process = Pick<Actor, 'pid' | 'start_boottime_ns'>;

function keyOf({ pid, start_boottime_ns: startNs }: Process): string {
  return `${pid}/${startNs}`;
}

export const RECENT_WINDOW_NS = 600_000_000_000n;
/** Services remembered at once, and terminations counted for each. A count of TERMINATIONS_MAX means "at least". */
const SERVICES_MAX = 1024;
export const TERMINATIONS_MAX = 1000;

/** Counts the terminations of each service in the last 10 minutes. */
export class Recent {
  readonly #times = new FairMap<bigint[]>(SERVICES_MAX);
  /** Services that were forgotten before their 10 minutes were over. */
  readonly forgotten = new Displaced();

  /** Adds terminations at `timeNs` (CLOCK_BOOTTIME). Returns the count of the last 10 minutes, these included. */
  add(service: string, origin: OriginKey, timeNs: bigint, count = 1): number {
    const times = this.#times.get(service) ?? [];
    // In the order of the ring: the oldest is first.
    while (times[0] !== undefined && timeNs - times[0] >= RECENT_WINDOW_NS) times.shift();
    for (let left = Math.min(count, TERMINATIONS_MAX); left > 0; left -= 1) times.push(timeNs);
    while (times.length > TERMINATIONS_MAX) times.shift();
    const displaced = this.#times.set(service, origin, times);
    if (displaced !== null && timeNs - (displaced.value.at(-1) ?? 0n) < RECENT_WINDOW_NS)
      this.forgotten.add(displaced.origin);
    return times.length;
  }
}
