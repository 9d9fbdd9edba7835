// SPDX-License-Identifier: Apache-2.0
// Makes a running program execute system calls, with its own identity, capabilities and filters (test/attacks/attacker/inject_amd64.go).
import { ATTACKER, startProgram } from '../../scripts/stack/program.ts';

/** The convention, the number of the system call, and its arguments: numbers, or strings as `=TEXT`. */
export type Call = readonly ['64' | '32', ...(string | number)[]];

/** It knows the registers of x86-64 only. */
export const CAN_INJECT = process.arch === 'x64';

/** Numbers of x86-64. */
export const NR = { getpid: 39, socket: 41, openat: 257 };
export const [AF_INET, AT_FDCWD, O_RDONLY, O_WRONLY] = [2, -100, 0, 1];

/** What no running loader can do: write to /proc/sys, open a file, make an IP socket. */
export const FORBIDDEN: readonly Call[] = [
  ['64', NR.openat, AT_FDCWD, '=/proc/sys/kernel/printk', O_WRONLY],
  ['64', NR.openat, AT_FDCWD, '=/proc/self/status', O_RDONLY],
  ['64', NR.socket, AF_INET, 1, 0],
];

/** Returns what each call returned in the process: the name of an error, or a number. */
export async function inject(pid: number, calls: readonly Call[]): Promise<string[]> {
  const attacker = startProgram(ATTACKER, ['inject', `${pid}`], { stdio: ['pipe', 'pipe', 'pipe'] });
  attacker.child.stdin?.end(calls.map((call) => `${call.join(' ')}\n`).join(''));
  const { code } = await attacker.ended;
  if (code !== 0) throw new Error(`not all calls were injected into ${pid}:\n${attacker.output()}`);
  return attacker.stdout().trim().split('\n').slice(1); // the first line is `attached`
}
