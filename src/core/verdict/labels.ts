// SPDX-License-Identifier: Apache-2.0
// How the evidence names the task that ran when a signal was generated, and its system call.
import { displayName } from '../naming/program.ts';
import type { Signal } from '../wire/event.ts';
import { syscallName } from './syscalls.ts';

export function taskLabel(signal: Signal | null): string {
  return signal === null ? 'an unknown task' : `${displayName(signal.sender)} (pid ${signal.sender.pid})`;
}

export function callPrefix(signal: Signal | null): string {
  return signal?.syscall == null ? '' : `with ${callName(signal.syscall, signal.syscall_arch)} `;
}

export function callEvidence(signal: Signal | null): string[] {
  return signal?.syscall == null ? [] : [`in ${callName(signal.syscall, signal.syscall_arch)}`];
}

/** `kill(2)`; the number if its table is not known (an older loader), or the table does not have it. */
function callName(number: number, arch: number | null): string {
  const name = syscallName(number, arch);
  return name === String(number) ? `system call ${number}` : `${name}(2)`;
}
