// SPDX-License-Identifier: Apache-2.0
// What stands before a line of the own log: in the journal its priority (sd-daemon(3)), else time and level. Twin of
// loader/internal/log/style.go.
import { fstatSync } from 'node:fs';
import type { Env } from '../config/env.ts';
import type { LogLevel } from '../config/kinds.ts';
import { type LogStyle, PLAIN, type Severity } from './log.ts';

/** Of syslog(3). */
const PRIORITIES: Readonly<Record<Severity, number>> = { error: 3, warn: 4, info: 6, debug: 7 };
const STDERR = 2;

/** `level`: of a service; null: of a command, whose lines have neither time nor level, and are all written. */
export function logStyle(env: Env, level: LogLevel | null, fd = STDERR): LogStyle {
  if (isJournal(env, fd)) return { level: level ?? PLAIN.level, head: (severity) => `<${PRIORITIES[severity]}>` };
  if (level === null) return PLAIN;
  return { level, head: (severity) => `${new Date().toISOString()} ${severity.toUpperCase()} ` };
}

/** Whether the descriptor is the socket of the journal that systemd names by device and inode (systemd.exec(5), JOURNAL_STREAM). */
function isJournal({ JOURNAL_STREAM: named }: Env, fd: number): boolean {
  if (!named) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return named === `${dev}:${ino}`;
  } catch {
    return false; // closed
  }
}
