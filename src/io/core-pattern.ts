// SPDX-License-Identifier: Apache-2.0
// The machine's core_pattern. It is the same in all containers (fs/coredump.c), and may change at any time.
import { readFileSync } from 'node:fs';
import type { CorePattern } from '../core/identity/host.ts';

const CHECK_MS = 1_000;

/** Returns the reader; what it returns is at most 1 s old. null: not known. Never throws. */
export function corePatternReader(directory = '/proc/sys/kernel'): () => CorePattern | null {
  let checkedAt = Number.NEGATIVE_INFINITY;
  let last: CorePattern | null = null;
  return () => {
    const now = performance.now();
    if (now - checkedAt < CHECK_MS) return last;
    checkedAt = now;
    last = read(directory);
    return last;
  };
}

function read(directory: string): CorePattern | null {
  try {
    const pattern = readFileSync(`${directory}/core_pattern`, 'utf8').replace(/\n$/, '');
    return { pattern, usesPid: readFileSync(`${directory}/core_uses_pid`, 'utf8').trim() === '1' };
  } catch {
    return null;
  }
}
