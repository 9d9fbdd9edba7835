// SPDX-License-Identifier: Apache-2.0
// The cases that run in a virtual machine: all that need only our own programs, and those that need a whole machine; and a few of each kind,
// for kernels that `npm test` has no time for. Run as a program, it prints the ids of a list: `cases.ts cases|few-cases ARCHITECTURE`
// (process.arch).
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

/** Of each structure of the kernel that the probes read, at least one that is wrong if the place of a field is. */
const FEW = `
  exit-0 exit-3 leader-5-worker-group-0 worker-9-leader-5 exec-in-thread odd-arguments pid-reuse abort-with-core sigkill sigterm
  real-time-signal many-threads-sigterm first-of-two-senders zombie-signalled pidfd sigkill-by-nobody sigkill-by-child line-of-senders
  in-container in-unit pid-namespace killed-while-traced tracer-injects segfault segfault-in-thread stack-overflow illegal-instruction
  out-of-memory namespace-powers-off parent-death orphaned-and-stopped ctrl-c broken-pipe posix-timer cpu-limit-hard seccomp
  fault-handler-exits sigterm-handler-raises sigterm-then-exit-1 sigterm-then-exit-0 sigwait-then-exit-0
  sigterm-blocked-then-exit-0`.split(/\s+/);

if (process.argv[1] === import.meta.filename) {
  const [, , list = '', arch = ''] = process.argv;
  for (const { id } of machineCases(arch)) if (list === 'cases' || FEW.includes(id)) console.log(id);
}
