// SPDX-License-Identifier: Apache-2.0
// Terminations whose record waits for the end of a tool that may have asked for them, for less than a second; others pass them. What waits
// is not acknowledged, nor is what was read after it. pipeline.ts decides which, and handles them.
import type { Death, Restart } from './core/wire/event.ts';
import type { Read } from './io/loader/acks.ts';
import type { Connection } from './io/loader/socket.ts';

/** A tool ends as soon as its carrier has answered. */
export const WAIT_MS = 800;
/** Beyond it, terminations do not wait. */
export const WAITING_MAX = 64;

export interface Waiting {
  readonly message: Death | Restart;
  readonly bootId: string;
  /** Of a monotonic clock. */
  readonly untilMs: number;
  /** The last position before it. null: there is none on its connection. */
  readonly before: bigint | null;
}

export class Deferred {
  #waiting: readonly Waiting[] = [];
  #connection: Connection | null = null;
  #read: bigint | null = null;

  /** Records the position of a message. */
  read(connection: Connection, seq: bigint): void {
    this.#connection = connection;
    this.#read = seq;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get isFull(): boolean {
    return this.#waiting.length >= WAITING_MAX;
  }

  /** Whether this termination waits already: the loader sends again what is not acknowledged. */
  has({ pid, start_boottime_ns: startNs }: { pid: number; start_boottime_ns: bigint }): boolean {
    return this.#waiting.some(
      ({ message: { type, process } }) =>
        type === 'death' && process.pid === pid && process.start_boottime_ns === startNs,
    );
  }

  /** Call it before read(): the position of the message itself is not acknowledged. */
  add(message: Death | Restart, bootId: string, untilMs: number): void {
    this.#waiting = [...this.#waiting, { message, bootId, untilMs, before: this.#read }];
  }

  /** Returns those that wait no longer, in their order: a restart follows its termination. */
  take(waits: (one: Waiting) => boolean): readonly Waiting[] {
    const taken: Waiting[] = [];
    for (const one of this.#waiting) {
      if (waits(one)) continue;
      taken.push(one);
      this.#waiting = this.#waiting.filter((other) => other !== one);
    }
    return taken;
  }

  /** What may be acknowledged when all that was handled so far is stored. null: nothing. */
  acknowledgement(): Read | null {
    const [oldest] = this.#waiting;
    const seq = oldest === undefined ? this.#read : oldest.before;
    const connection = this.#connection;
    return seq === null || connection === null ? null : { connection, seq };
  }
}
