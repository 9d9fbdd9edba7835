// SPDX-License-Identifier: Apache-2.0
// State directories and queues for tests: real files, removed at the end.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Log } from '../../src/io/log.ts';
import { type Item, Queue, type QueueOptions } from '../../src/io/queue/queue.ts';
import { newStats, type Stats } from '../../src/io/stats.ts';

export class StateDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'whodunit-state-'));
  readonly lines: string[] = [];
  stats: Stats = newStats(0);

  /** Opens the queue in it; statistics are those of a service that starts. */
  open(options: Partial<QueueOptions> = {}): Queue {
    this.stats = newStats(0);
    const log = new Log((line) => this.lines.push(line));
    const queue = new Queue({ directory: this.path, bytesMax: 1 << 30, stats: this.stats, log, ...options });
    this.stats.queue = queue;
    return queue;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A death whose record says `body`; null: it is filtered. */
export function item(number: number, body: string | null = `r${number}`): Item {
  return { uid: uidOf(number), endedMs: number, record: body === null ? null : Buffer.from(body) };
}

export function uidOf(number: number): string {
  return `00000000-0000-5000-8000-${number.toString(16).padStart(12, '0')}`;
}

/** What the deaths of these statistics came to. It must be the number that was received. */
export function accounted(stats: Stats): number {
  const { reported, filtered, aggregated, summaries, rejected, evicted, damaged, pending } = stats;
  return reported + filtered + aggregated + rejected + evicted + damaged + pending - summaries;
}
