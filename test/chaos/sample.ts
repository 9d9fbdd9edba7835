// SPDX-License-Identifier: Apache-2.0
// The current memory and open descriptors of a process, from /proc.
import { readdirSync, readFileSync } from 'node:fs';

export interface Sample {
  readonly residentBytes: number;
  readonly descriptors: number;
}

export function sample(pid: number): Sample {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { residentBytes: Number(kilobytes) * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}
