// SPDX-License-Identifier: Apache-2.0
// Keeps loader and service running for `whodunit up` and `npm run demo`, as a service manager does: whichever ends is started again. What a
// dead loader did not send waits in the pinned ring buffer, and what a dead service did not send waits there or on disk.
import { setTimeout as sleep } from 'node:timers/promises';
import { FatalError } from '../../core/errors.ts';
import type { Running } from './children.ts';

const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 5_000;
/** A part that ran this long is started again after the shortest wait. */
const STABLE_MS = 10_000;
/** A part that ends by itself so often in a row before it is ready is not started again. */
const FAILURES_MAX = 5;
/** Signals that another process sends: a part that was killed has not failed. */
const KILLED: ReadonlySet<string> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']);
/** Exit codes after which another start would fail, too: EX_IOERR, EX_NOPERM and EX_CONFIG of sysexits.h. */
const FINAL_CODES: ReadonlySet<number | null> = new Set([74, 77, 78]);

/** A program to keep running. */
export interface Part {
  readonly name: string;
  /** Starts it in place of `previous`. */
  readonly start: (previous?: Running) => Running;
  /** Resolves with true when it is ready, and false if it ends before. */
  readonly ready: (running: Running) => Promise<boolean>;
}

export interface Supervised {
  /** Resolves when the part is ready for the first time. */
  readonly ready: Promise<void>;
  /** Rejects with a FatalError when the part is not started again. Never resolves before the command stops. */
  readonly over: Promise<void>;
}

/** Starts the part, and starts it again whenever it ends, until `stopSignal` is aborted. */
export function supervise(part: Part, stopSignal: AbortSignal): Supervised {
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const over = keepRunning(part, resolve, stopSignal);
  over.catch(() => {}); // the caller gets it, too, perhaps later
  return { ready, over };
}

async function keepRunning(part: Part, onReady: () => void, stopSignal: AbortSignal): Promise<void> {
  const { name } = part;
  let running: Running | undefined;
  let failures = 0;
  let quick = 0;
  while (!stopSignal.aborted) {
    const since = performance.now();
    running = part.start(running);
    const wasReady = await part.ready(running);
    if (wasReady) onReady();
    const { code, why } = await running.ended;
    if (stopSignal.aborted) return;
    if (FINAL_CODES.has(code))
      throw new FatalError('UP_FAILED', `${name} ended with ${why}, so whodunit stops: see its message above.`);
    if (wasReady) failures = 0;
    else if (!KILLED.has(why)) failures += 1;
    if (failures === FAILURES_MAX)
      throw new FatalError(
        'UP_FAILED',
        `${name} ended ${failures} times before it was ready, at last with ${why}, so whodunit stops.`,
      );
    quick = performance.now() - since < STABLE_MS ? quick + 1 : 1;
    const waitMs = Math.min(BACKOFF_FIRST_MS * 2 ** (quick - 1), BACKOFF_MAX_MS);
    console.error(`${name} ended with ${why}: starting it again in ${waitMs / 1000} s.`);
    await sleep(waitMs, undefined, { signal: stopSignal }).catch(() => {}); // the command stops
  }
}
