// SPDX-License-Identifier: Apache-2.0
// What the history leaves of its disk, for the queue and others.
import { statfsSync } from 'node:fs';

const SPARE_BYTES = 32 * 1024 * 1024;

/** Throws ENOSPC, as a full disk does, while little is free. */
export function requireSpace(directory: string): void {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < SPARE_BYTES) throw Object.assign(new Error('too little space is free'), { code: 'ENOSPC' });
}
