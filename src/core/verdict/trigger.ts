// SPDX-License-Identifier: Apache-2.0
// The process whose act made the kernel send the signal: it closed the terminal, is the parent that terminated, or asked for memory that was not there. It is no sender: it may
// not know whom the signal reaches.
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
  if (has(signal, TERMINAL_CLOSED) !== null) return { act: 'closed_terminal', task };
  return has(signal, SESSION_END) !== null && task.exiting ? { act: 'session_ended', task } : null;
}

function isTask({ pid, kthread }: Actor): boolean {
  return pid !== 0 && !kthread;
}

/** ` of the SSH session alice@pts/0`, as sshd says it in its title. Empty: another program, or no title. */
export function sessionLabel({ exe, args }: Actor): string {
  const session = SSH_SESSION.exec(`${exe} ${args?.[0]}`)?.[1];
  return session === undefined ? '' : ` of the SSH session ${session}`;
}
/** The executable, and the title. */
const SSH_SESSION = /\/sshd(?:-session)? sshd(?:-session)?: ([\w.\\-]{1,64}@[\w/]{1,16})\s*$/;

/** A parent is in the evidence of its cause. */
export function triggerEvidence(trigger: Trigger | null, signal: Signal | null): string[] {
  switch (trigger?.act) {
    case 'closed_terminal':
      return [`${taskLabel(signal)} closed the terminal${sessionLabel(trigger.task)}`];
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
