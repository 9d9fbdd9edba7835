// SPDX-License-Identifier: Apache-2.0
// How a process ends by itself: its status is what wait(2) returns to its parent, whichever thread exits first or last.
import { existsSync } from 'node:fs';
import type { Case } from './case.ts';
import { askedToExit, exit, fault, kernel, killed, segfault } from './expect.ts';

/** As many as exitRaces in undertaker/threads.go. */
const EXIT_RACES = 50;

/** Which thread's code counts differs between kernels, and between races: the parent knows. */
const exitAsTold = { ...exit(0), errorType: null };

const pidOfChoice = existsSync('/proc/sys/kernel/ns_last_pid') ? undefined : 'this kernel does not let a pid be chosen';

export const statusCases: readonly Case[] = [
  { name: 'a process exits with code 0', happens: 'exit-0', deaths: [] },
  { name: 'a process exits with code 1', happens: 'exit-1', deaths: [exit(1)] },
  { name: 'a process exits with code 2', happens: 'exit-2', deaths: [exit(2)] },
  { name: 'a process exits with code 3', happens: 'exit-3', deaths: [exit(3)] },
  { name: 'a process exits with code 126', happens: 'exit-126', deaths: [exit(126)] },
  { name: 'a process exits with code 127', happens: 'exit-127', deaths: [exit(127)] },
  { name: 'a process exits with code 255', happens: 'exit-255', deaths: [exit(255)] },
  { name: 'a process exits with code 256, which its parent sees as 0', happens: 'exit-256', deaths: [] },
  { name: 'a process exits with code 259, which its parent sees as 3', happens: 'exit-259', deaths: [exit(3)] },
  { name: 'the only thread calls exit and not exit_group', happens: 'thread-exit-alone', deaths: [exit(5)] },
  { name: 'a thread that is not the first one calls exit_group', happens: 'exit-in-thread', deaths: [exit(6)] },
  {
    name: 'the first thread exited long before another one ends the process',
    happens: 'leader-first',
    deaths: [exit(7)],
  },
  {
    name: 'the first thread exits with code 0, then a worker ends the process with code 7',
    happens: 'leader-0-worker-group-7',
    deaths: [exit(7)],
  },
  {
    name: 'the first thread exits with code 5, then a worker ends the process with code 0',
    happens: 'leader-5-worker-group-0',
    deaths: [],
  },
  {
    name: 'the first thread exits with code 5, then the last one with code 9',
    happens: 'leader-5-worker-9',
    deaths: [exitAsTold],
  },
  {
    name: 'a worker exits with code 9, then the first thread, which is the last, with code 5',
    happens: 'worker-9-leader-5',
    deaths: [exit(5)],
  },
  {
    name: 'the first thread exits with code 5, then the rest is killed',
    happens: 'leader-5-worker-killed',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'many threads exit at once, each with a code of its own',
    happens: 'many-threads-exit',
    deaths: [exitAsTold],
  },
  {
    name: 'threads exit with code 0 while the first one calls exit_group, repeatedly',
    happens: 'exit-race',
    deaths: Array.from({ length: EXIT_RACES }, () => exit(3)),
  },
  { name: 'a thread executes another program, which exits with code 4', happens: 'exec-in-thread', deaths: [exit(4)] },
  {
    name: 'a thread executes another program, which is no termination: it exits with code 0',
    happens: 'exec-in-thread-lives-on',
    deaths: [],
  },
  { name: 'a child of vfork exits with code 3 without an exec', happens: 'vfork-exit', deaths: [exit(3)] },
  {
    name: 'a child of vfork finds no program to execute and exits with code 127',
    happens: 'vfork-no-such-program',
    deaths: [exit(127)],
  },
  { name: 'a daemon whose parent is gone exits with code 4', happens: 'double-fork', deaths: [exit(4)] },
  {
    name: 'a setuid program of root, started by an ordinary user, exits with code 3',
    happens: 'setuid-program',
    deaths: [exit(3)],
  },
  { name: 'a static program without any library exits with code 3', happens: 'bare-program', deaths: [exit(3)] },
  { name: 'a dynamic program exits in its interpreter with code 4', happens: 'dynamic-program', deaths: [exit(4)] },
  {
    name: 'a script segfaults in the program that its first line names',
    happens: 'script',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', segfault)],
  },
  {
    name: 'a program cannot be loaded after the point of no return: execve kills the process',
    happens: 'broken-program',
    deaths: [kernel('kernel', 'SIGSEGV')],
  },
  { name: 'a process has odd arguments', happens: 'odd-arguments', deaths: [exit(3)] },
  {
    name: 'two processes have the same pid, one shortly after the other',
    happens: 'pid-reuse',
    skip: pidOfChoice,
    deaths: [exit(3), exit(4)],
  },
  {
    name: 'a termination request to a process does not affect the next process with its pid',
    happens: 'pid-reuse-after-request',
    skip: pidOfChoice,
    deaths: [askedToExit(3, 'SIGTERM', 15), exit(4)],
  },
  { name: 'a process lives less than a millisecond', happens: 'under-a-millisecond', deaths: [exit(3)] },
];
