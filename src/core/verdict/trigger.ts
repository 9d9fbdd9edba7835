// SPDX-License-Identifier: Apache-2.0
// The process whose act made the kernel send the signal: it closed the terminal, is the parent that terminated, or asked for memory that was not there. It is no sender: it may
// not know whom the signal reaches.
import { type SshSession, sshSessionOf } from '../identity/logins.ts';
import type { Actor, Death, Signal } from '../wire/event.ts';
import { has, OOM_ALLOCATION, SESSION_END, TERMINAL_CLOSED } from './frames.ts';
import { taskLabel } from './labels.ts';
import { isVictim } from './origin.ts';
import { SIGHUP } from './signals.ts';
import type { Cause, Trigger } from './verdict.ts';

/** null: none, or not known. `cause`: of the termination, if this signal terminated the process. */
export function triggerOf(cause: Cause | null, signal: Signal | null, death: Death): Trigger | null {
  if (signal === null || !isTask(signal.sender) || isVictim(signal.sender, death)) return null;
  const { sender: task } = signal;
  if (cause === 'parent_death') return { act: task.process_lives ? 'thread_ended' : 'parent_ended', task };
  if (cause === 'oom_kill') return has(signal, OOM_ALLOCATION) === null ? null : { act: 'asked_for_memory', task };
  if (signal.signo !== SIGHUP) return null;
  if (has(signal, TERMINAL_CLOSED) !== null)
    return { act: 'closed_terminal', task, session: sshSessionOf(task, death.process) };
  return has(signal, SESSION_END) !== null && task.exiting ? { act: 'session_ended', task } : null;
}

function isTask({ pid, kthread }: Actor): boolean {
  return pid !== 0 && !kthread;
}

/** ` of the SSH session alice@pts/0 from 192.0.2.7`. Empty: another program closed the terminal, or nothing is known of the session. */
export function sessionLabel(session: SshSession | null): string {
  if (session === null) return '';
  const { name, address } = session;
  if (name === null) return address === null ? '' : ` of an SSH session from ${address}`;
  return ` of the SSH session ${name}${address === null ? '' : ` from ${address}`}`;
}

/** A parent is in the evidence of its cause. */
export function triggerEvidence(trigger: Trigger | null, signal: Signal | null): string[] {
  switch (trigger?.act) {
    case 'closed_terminal':
      return [`${taskLabel(signal)} closed the terminal${sessionLabel(trigger.session)}`];
    case 'session_ended':
      return [`${taskLabel(signal)}, the leader of the session, terminated`];
    case 'asked_for_memory':
      return [`${taskLabel(signal)} asked for the memory that was not there`];
    case 'parent_ended':
    case 'thread_ended':
    case undefined:
      return [];
  }
}
