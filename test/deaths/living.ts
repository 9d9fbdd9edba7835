// SPDX-License-Identifier: Apache-2.0
// Whether the process of a termination record is still running. Such a record is wrong, which shows without knowing the truth.
import { readFileSync } from 'node:fs';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';

/** /proc/stat has the boot time in whole seconds: only a process that started this much before the reported termination is the same one. */
const BOOT_TIME_GRAIN_MS = 1_000;
/** USER_HZ, which is the same on every machine that Node runs on. */
const TICK_MS = 10;
/** Field numbers of proc(5), counted from the state, the first field after the name in parentheses. */
const STATE = 0;
const START_TICKS = 19;

/** Returns false for a zombie: it has terminated, although its parent has not waited for it. */
export function isRunning({ resource, timeUnixNs }: LogRecord): boolean {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${resource['process.pid']}/stat`, 'utf8');
  } catch {
    return false; // no such process
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[STATE] === 'Z' || fields[STATE] === 'X') return false;
  const bootMs = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]) * 1000;
  const startMs = bootMs + Number(fields[START_TICKS]) * TICK_MS;
  return startMs + BOOT_TIME_GRAIN_MS < Number(timeUnixNs / 1_000_000n);
}
