// SPDX-License-Identifier: Apache-2.0
// Stores items on disk, and retries while the disk fails. Meanwhile nothing is read from the loader, and events wait in the ring buffer.
import { DiskError } from '../../core/errors.ts';
import { sleep } from '../sleep.ts';
import type { Open } from './open-rows.ts';
import type { Item, Queue } from './queue.ts';

/** The wait between two attempts. */
const DISK_RETRY_MS = 1_000;

/** Resolves when the items are on disk. False: `signal` was aborted before the disk accepted them. */
export async function keep(queue: Queue, items: readonly Item[], open: Open, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    try {
      queue.put(items, open);
      return true;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      await sleep(DISK_RETRY_MS, signal);
      if (signal.aborted) return false;
    }
  }
}
