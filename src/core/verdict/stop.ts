// SPDX-License-Identifier: Apache-2.0
// The stop of a process (SIGSTOP and its kind) that explains its end: it was still stopped, or had been when the signal came. Only SIGKILL
// terminates a process that is stopped; what comes before waits.
import type { Death, Signal } from '../wire/event.ts';
import { codeLabel } from './evidence.ts';
import { callPrefix, taskLabel } from './labels.ts';
import { isVictim, originOf } from './origin.ts';
import { SIGKILL, SIGTSTP, SIGTTIN, SIGTTOU, signalName } from './signals.ts';
import type { Stop } from './verdict.ts';

/** null: it was not stopped, or that explains nothing. `signal`: the one that the verdict reports. */
export function stopOf(death: Death, signo: number, signal: Signal | null): Stop | null {
  const { stop } = death;
  if (stop === null) return null;
  const sinceNs = stop.since_ns ?? stop.signal.time_ns;
  const origin = originOf(stop.signal, death);
  const known = {
    signo: stop.signal.signo,
    sinceNs: sinceNs + death.clock_offset_ns,
    senderKind: origin,
    sender: origin === 'process' ? stop.signal.sender : null,
    why: origin === 'kernel' ? atTerminal(stop.signal, death) : null,
  };
  if (stop.continued_ns === null)
    return signo === SIGKILL ? { ...known, lastedNs: death.time_ns - sinceNs, continued: false } : null;
  if (signal?.victim_stopped !== true) return null;
  return { ...known, lastedNs: signal.time_ns - sinceNs, continued: true };
}

/** The kernel's own stops are those of job control (drivers/tty/tty_jobctrl.c, n_tty.c). */
function atTerminal({ signo, sender }: Signal, death: Death): string | null {
  const who = isVictim(sender, death) ? 'it' : 'a process of its group';
  switch (signo) {
    case SIGTSTP:
      return 'Ctrl-Z at its terminal';
    case SIGTTIN:
      return `${who} read from its terminal in the background`;
    case SIGTTOU:
      return `${who} wrote to its terminal in the background, or changed its settings`;
    default:
      return null;
  }
}

/** The stop, and how it ended, if a signal of the record came meanwhile or nothing ended it. */
export function stopEvidence(death: Death): string[] {
  const { stop } = death;
  if (stop === null) return [];
  const { signal, since_ns: since, continued_ns: continued } = stop;
  const origin = originOf(signal, death);
  const sender = {
    process: `, sent ${callPrefix(signal)}by ${taskLabel(signal)}, ${codeLabel(signal)}`,
    self: ', sent by the process itself',
    kernel: ` from the kernel: ${atTerminal(signal, death) ?? 'the reason is not known'}`,
    unknown: ', the sender is not known',
  }[origin];
  const end = continued === null ? '' : `; continued ${secondsBefore(continued, death)}`;
  return [`stopped by ${signalName(signal.signo)}${sender}, ${secondsBefore(since ?? signal.time_ns, death)}${end}`];
}

function secondsBefore(timeNs: bigint, death: Death): string {
  return `${(Number(death.time_ns - timeNs) / 1e9).toFixed(3)} s before the termination`;
}
