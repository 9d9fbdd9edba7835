// SPDX-License-Identifier: Apache-2.0
// Signals by which the kernel notifies a process of something, as it asked for: F_SETSIG, mq_notify(3), the end of a child. The task that
// ran when one was generated may have triggered it, by using the descriptor or queue. It is never the sender.
import type { Death, Signal } from '../wire/event.ts';
import { CHILD, DESCRIPTOR, has, isInOwnCall } from './frames.ts';
import { callEvidence, taskLabel } from './labels.ts';
import { isVictim } from './origin.ts';
import { codeName, SI_ASYNCIO, SI_KERNEL, SI_MESGQ, SI_SIGIO, SIGIO } from './signals.ts';

/** The last of POLL_IN … POLL_HUP, and of CLD_EXITED … CLD_CONTINUED (include/uapi/asm-generic/siginfo.h). */
const NOTIFICATION_CODE_MAX = 6;

/** What the kernel notified the process of, for a signal from the kernel: `a notification of …`. null: of nothing. */
export function notificationOf(signal: Signal): string | null {
  const { signo, code, info } = signal;
  if (info === 'siginfo') {
    if (code === SI_MESGQ) return 'a notification of a message queue (mq_notify)';
    if (code === SI_ASYNCIO) return 'a notification of a transfer to or from a USB device';
    if (code === SI_SIGIO) return 'a notification of a descriptor (F_SETSIG)';
    if (has(signal, CHILD) !== null || (signal.sender.exiting && isSmall(code)))
      return 'a notification of the end of a child, by the signal that clone(2) chose';
    if (has(signal, DESCRIPTOR) !== null || (signo === SIGIO && isSmall(code)))
      return `a notification of a descriptor (F_SETSIG), ${codeName(SIGIO, code)}`;
    return null;
  }
  const isOfDescriptor = has(signal, DESCRIPTOR) !== null || (signo === SIGIO && code === SI_KERNEL);
  return info === 'kernel' && isOfDescriptor ? 'a notification of a descriptor (O_ASYNC)' : null;
}

function isSmall(code: number): boolean {
  return code > 0 && code <= NOTIFICATION_CODE_MAX;
}

/** The same as evidence, with the task that triggered it if the kernel stack or the code shows that. */
export function notificationEvidence(signal: Signal, death: Death): string[] {
  const what = notificationOf(signal);
  if (what === null) return [];
  const task = isVictim(signal.sender, death) ? 'the process itself' : taskLabel(signal);
  // __do_notify() of ipc/mqueue.c and do_notify_parent() run in the task that sends the message or ends.
  const byTask = isInOwnCall(signal) || signal.code === SI_MESGQ || has(signal, CHILD) !== null;
  if (!byTask) return [`${what}, generated while ${task} was running: not necessarily what triggered it`];
  const call = signal.sender.exiting ? [] : callEvidence(signal);
  return [`${[what, [`triggered by ${task}`, ...call].join(' ')].join(', ')}: not the sender`];
}
