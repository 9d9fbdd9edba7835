// SPDX-License-Identifier: Apache-2.0
// Times, numbers and causes in words.

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** Local time; of today, only the time of day. */
export function when(ms: number, nowMs = Date.now()): string {
  const sameDay = new Date(ms).toDateString() === new Date(nowMs).toDateString();
  return (sameDay ? CLOCK : WHEN).format(ms);
}

export function exactly(ms: number): string {
  return new Date(ms).toISOString();
}

export function count(value: number, noun: string): string {
  return `${value.toLocaleString()} ${noun}${value === 1 ? '' : 's'}`;
}

/** `oom_kill` → `oom kill`. */
export function causeName(cause: string): string {
  return cause.replaceAll('_', ' ');
}

/** The causes that the style sheet has colours for (`--cause-…`), the gravest first. Others have the colour of `unknown`. */
export const CAUSES = [
  'oom_kill',
  'fault',
  'abort',
  'seccomp',
  'killed',
  'exit',
  'kernel',
  'self_signal',
  'resource_limit',
  'parent_death',
  'broken_pipe',
  'timer',
  'hangup',
  'terminal',
  'namespace_exit',
  'graceful_stop',
  'unknown',
] as const;

export function causeClass(cause: string | null): string {
  return `cause cause-${(CAUSES as readonly string[]).includes(cause ?? '') ? cause : 'unknown'}`;
}
