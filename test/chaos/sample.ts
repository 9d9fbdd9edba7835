// SPDX-License-Identifier: Apache-2.0
// What a process holds right now: memory and descriptors, from /proc.
import { readdirSync, readFileSync } from 'node:fs';

export interface Sample {
  readonly residentBytes: number;
  readonly descriptors: number;
}

export function sample(pid: number): Sample {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { residentBytes: Number(kilobytes) * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}
