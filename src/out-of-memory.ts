// SPDX-License-Identifier: Apache-2.0
// What is read for the out-of-memory kills of a batch, before it is handled: the order of terminations stays as it is, because what follows from
// such a kill belongs to its incident. io/memory-cgroups.ts reads; here are the limits of when (docs/decisions/0108).
import { type MemoryReading, UNREAD, type Unread } from './core/cgroup/use.ts';
import { originOf } from './core/identity/origin.ts';
import { Shares } from './core/shares.ts';
import { classify } from './core/verdict/classify.ts';
import type { Death } from './core/wire/event.ts';
import type { LoaderMessage } from './io/loader/socket.ts';
import type { CgroupQuestion, MemoryCgroups } from './io/memory-cgroups.ts';

/** The longest that a batch waits, on a machine that has no time. Otherwise it takes a few milliseconds. */
export const WAIT_MS_MAX = 100;
/** In one second, of all origins. */
export const READINGS_PER_SECOND_MAX = 8;
/** Later, the cgroup says nothing of the kill: the loader sends again what is not acknowledged. */
export const AGE_MS_MAX = 2_000;
/** So long, a reading counts for other kills in the same cgroup. */
const SAME_MS = 100;

export type MemoryReadings = ReadonlyMap<Death, MemoryReading>;
export const NO_READINGS: MemoryReadings = new Map();

interface Times {
  readonly wallMs: () => number;
  readonly steadyMs: () => number;
}

export class OutOfMemory {
  readonly #cgroups: Pick<MemoryCgroups, 'isVisible' | 'read'>;
  readonly #counts = { read: 0, ...(Object.fromEntries(UNREAD.map((why) => [why, 0])) as Record<Unread, number>) };
  #shares = new Shares();
  #secondEndsMs = 0;
  #last: { readonly key: string; readonly untilMs: number; readonly reading: MemoryReading } | null = null;

  constructor(cgroups: Pick<MemoryCgroups, 'isVisible' | 'read'>) {
    this.#cgroups = cgroups;
  }

  /** Readings, and why there was none, since the start. null: the cgroups of the machine are not visible. */
  snapshot(): Readonly<Record<'read' | Unread, number>> | null {
    return this.#cgroups.isVisible ? { ...this.#counts } : null;
  }

  /** Whether there is something to read. Most batches do not wait. */
  concerns(messages: readonly LoaderMessage[]): boolean {
    return this.#cgroups.isVisible && messages.some(isOfMemory);
  }

  /** Resolves after WAIT_MS_MAX at the latest. Never rejects. */
  async read(messages: readonly LoaderMessage[], times: Times): Promise<MemoryReadings> {
    const readings = new Map<Death, MemoryReading>();
    const deadlineMs = times.steadyMs() + WAIT_MS_MAX;
    for (const death of messages.filter(isOfMemory)) {
      const question = questionOf(death);
      if (question === null) continue;
      const reading = isStale(death, times.wallMs())
        ? STALE
        : await this.#answer(death, question, deadlineMs, times.steadyMs);
      if (reading === null) continue;
      readings.set(death, reading);
      this.#counts[reading.kind === 'read' ? 'read' : reading.why] += 1;
    }
    return readings;
  }

  async #answer(
    death: Death,
    question: CgroupQuestion,
    deadlineMs: number,
    steadyMs: () => number,
  ): Promise<MemoryReading | null> {
    const nowMs = steadyMs();
    const key = `${question.cgroup}\n${question.own}`;
    if (this.#last?.key === key && nowMs < this.#last.untilMs) return this.#last.reading;
    if (!this.#admits(originOf(death), nowMs)) return { kind: 'unknown', why: 'crowded' };
    const reading = await this.#cgroups.read(question, deadlineMs - nowMs);
    if (reading !== null) this.#last = { key, untilMs: steadyMs() + SAME_MS, reading };
    return reading;
  }

  #admits(origin: string, nowMs: number): boolean {
    if (nowMs >= this.#secondEndsMs) {
      this.#shares = new Shares();
      this.#secondEndsMs = nowMs + 1_000;
    }
    if (!this.#shares.admits(origin, READINGS_PER_SECOND_MAX)) return false;
    this.#shares.add(origin, 1);
    return true;
  }
}

function isOfMemory(message: LoaderMessage): message is Death {
  return message.type === 'death' && (message.oom_victim || message.oom !== null);
}

const STALE: MemoryReading = { kind: 'unknown', why: 'stale' };

function isStale({ oom, time_ns, clock_offset_ns: offsetNs }: Death, nowMs: number): boolean {
  const killedMs = Number(((oom?.time_ns ?? time_ns) + offsetNs) / 1_000_000n);
  return Math.abs(nowMs - killedMs) > AGE_MS_MAX;
}

/** null: it was no such kill, or its cgroup is not known. */
function questionOf(death: Death): CgroupQuestion | null {
  const { oomScope, oom } = classify(death);
  if (oomScope === 'host') return { cgroup: '/', own: null };
  if (oomScope !== 'cgroup' || oom === null || oom.cgroup === null) return null;
  return { cgroup: oom.cgroup, own: death.process.cgroup };
}
