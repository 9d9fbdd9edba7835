// SPDX-License-Identifier: Apache-2.0
// The cases that run in a virtual machine: all that need only our own programs, and those that need a whole machine. Run as a program, it
// prints the ids of the cases for an architecture (process.arch).
import type { Case } from '../deaths/cases/case.ts';
import { kernel, oomInCgroup } from '../deaths/cases/expect.ts';
import { gracefulCases } from '../deaths/cases/graceful.ts';
import { handledCases } from '../deaths/cases/handled.ts';
import { kernelCases } from '../deaths/cases/kernel.ts';
import { senderCases } from '../deaths/cases/sender.ts';
import { statusCases } from '../deaths/cases/status.ts';

const wholeMachineCases: readonly Case[] = [
  {
    name: 'the machine runs out of memory',
    id: 'host-out-of-memory',
    deaths: [
      {
        ...kernel('oom_kill', 'oom_kill'),
        attributes: { 'whodunit.oom.scope': 'host', 'whodunit.oom.limit': null, 'whodunit.oom.cgroup': null },
      },
    ],
  },
  {
    name: 'a process hits the limit of a cgroup with memory.oom.group, and the kernel kills its neighbour too',
    id: 'out-of-memory-group',
    deaths: [oomInCgroup, oomInCgroup],
  },
  { name: 'a kernel thread exits', id: 'kernel-thread', deaths: [] },
];

export function machineCases(arch: string): readonly Case[] {
  const all = [...statusCases, ...senderCases, ...kernelCases, ...handledCases, ...gracefulCases, ...wholeMachineCases];
  return all.filter((one) => one.arch === undefined || one.arch === arch);
}

if (process.argv[1] === import.meta.filename) {
  for (const { id } of machineCases(process.argv[2] ?? '')) console.log(id);
}
