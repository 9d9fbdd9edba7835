// SPDX-License-Identifier: Apache-2.0
// State directories and queues for tests: real files, removed after the test.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Counters, unaccounted } from '../../src/core/counters.ts';
import type { OriginKey } from '../../src/core/shares.ts';
import { Log } from '../../src/io/log.ts';
import { type Item, Queue, type QueueOptions } from '../../src/io/queue/queue.ts';

export class StateDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'whodunit-state-'));
  readonly lines: string[] = [];
  #queue: Queue | null = null;

  /** Opens the queue in it, as a starting service does. */
  open(options: Partial<QueueOptions> = {}): Queue {
    const log = new Log((line) => this.lines.push(line));
    const queue = new Queue({ directory: this.path, bytesMax: 1 << 30, log, ...options });
    this.#queue = queue;
    return queue;
  }

  /** The counters of the queue that was opened last. */
  get totals(): Queue['totals'] {
    if (this.#queue === null) throw new Error('no queue was opened');
    return this.#queue.totals;
  }

  /** Why that queue cannot be written; null: it can. */
  get error(): string | null {
    return this.#queue?.snapshot().error ?? null;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A termination with the record `body`; null: it is filtered. */
export function item(number: number, body: string | null = `r${number}`, origin: OriginKey = '1000 '): Item {
  return { uid: uidOf(number), origin, endedMs: number, record: body === null ? null : Buffer.from(body) };
}

export function uidOf(number: number): string {
  return `00000000-0000-5000-8000-${number.toString(16).padStart(12, '0')}`;
}

/** Returns the number of terminations that the other counters account for. It must equal `received`. */
export function accounted(counters: Counters): number {
  return counters.received - unaccounted(counters);
}
