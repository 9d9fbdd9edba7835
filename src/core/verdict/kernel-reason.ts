// SPDX-License-Identifier: Apache-2.0
// Why the kernel sent a signal that notifies of nothing and has no cause of its own (causes.ts), as far as its stack shows that.
import type { Signal } from '../wire/event.ts';
import { codeLabel, whileRunning } from './evidence.ts';
import type { Facts } from './facts.ts';
import { FORCED, has, ORPHANED, TRACER_EXIT } from './frames.ts';
import { taskLabel } from './labels.ts';
import { notificationEvidence, notificationOf } from './notification.ts';
import { SIGKILL, signalName } from './signals.ts';
import { syscallName } from './syscalls.ts';

const EXEC: ReadonlySet<string> = new Set(['execve', 'execveat']);

/** As a clause. null: its stack does not show why. */
export function kernelReason(signal: Signal): string | null {
  const task = taskLabel(signal);
  if (has(signal, TRACER_EXIT) !== null) return `its tracer, ${task}, terminated (PTRACE_O_EXITKILL)`;
  if (has(signal, ORPHANED) !== null)
    return `its process group was stopped, and orphaned when ${task} terminated: no shell could continue it`;
  const { syscall, syscall_arch: arch } = signal;
  if (has(signal, FORCED) !== null && syscall !== null && EXEC.has(syscallName(syscall, arch)))
    return 'its execve(2) failed after the old program was gone: too little memory, or a limit (ulimit -s, -v, -d)';
  return null;
}

export function kernelEvidence({ signo, signal, death }: Facts): string[] {
  return [
    `${signalName(signo)} from the kernel, ${codeLabel(signal)}`,
    ...(signo === SIGKILL && !death.oom_victim ? ['it was not marked as an out-of-memory victim'] : []),
    ...(signal !== null && notificationOf(signal) !== null
      ? notificationEvidence(signal, death)
      : [(signal === null ? null : kernelReason(signal)) ?? whileRunning(signal, 'not necessarily the sender')]),
  ];
}
