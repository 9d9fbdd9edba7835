// SPDX-License-Identifier: Apache-2.0
// A process exits by itself. Its status is what wait(2) returns to the parent, whichever thread exits first or last.
import { existsSync } from 'node:fs';
import type { Case } from './case.ts';
import { exit, exitAfterSignal, fault, kernel, killed, segfault } from './expect.ts';

/** exitRaces in undertaker/threads.go. */
const EXIT_RACES = 50;

/** Which thread's code becomes the exit code depends on the kernel and on the race, so the status of the parent is the reference. */
const exitSeenByParent = { ...exit(0), errorType: null };

const pidOfChoice = existsSync('/proc/sys/kernel/ns_last_pid') ? undefined : 'this kernel does not let a pid be chosen';

export const statusCases: readonly Case[] = [
  { name: 'a process exits with code 0', id: 'exit-0', deaths: [] },
  { name: 'a process exits with code 1', id: 'exit-1', deaths: [exit(1)] },
  { name: 'a process exits with code 2', id: 'exit-2', deaths: [exit(2)] },
  { name: 'a process exits with code 3', id: 'exit-3', deaths: [exit(3)] },
  { name: 'a process exits with code 126', id: 'exit-126', deaths: [exit(126)] },
  { name: 'a process exits with code 127', id: 'exit-127', deaths: [exit(127)] },
  { name: 'a process exits with code 255', id: 'exit-255', deaths: [exit(255)] },
  { name: 'a process exits with code 256, which its parent sees as 0', id: 'exit-256', deaths: [] },
  { name: 'a process exits with code 259, which its parent sees as 3', id: 'exit-259', deaths: [exit(3)] },
  { name: 'the only thread calls exit and not exit_group', id: 'thread-exit-alone', deaths: [exit(5)] },
  { name: 'a thread that is not the first one calls exit_group', id: 'exit-in-thread', deaths: [exit(6)] },
  {
    name: 'another thread ends the process long after the first thread exited',
    id: 'leader-first',
    deaths: [exit(7)],
  },
  {
    name: 'the first thread exits with code 0, then a worker ends the process with code 7',
    id: 'leader-0-worker-group-7',
    deaths: [exit(7)],
  },
  {
    name: 'the first thread exits with code 5, then a worker ends the process with code 0',
    id: 'leader-5-worker-group-0',
    deaths: [],
  },
  {
    name: 'the first thread exits with code 5, then the last thread with code 9',
    id: 'leader-5-worker-9',
    deaths: [exitSeenByParent],
  },
  {
    name: 'a worker exits with code 9, then the first thread exits last, with code 5',
    id: 'worker-9-leader-5',
    deaths: [exit(5)],
  },
  {
    name: 'the first thread exits with code 5, then another process kills the remaining thread',
    id: 'leader-5-worker-killed',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'many threads exit at once, each with its own code',
    id: 'many-threads-exit',
    deaths: [exitSeenByParent],
  },
  {
    name: 'threads exit with code 0 while the first one calls exit_group, repeatedly',
    id: 'exit-race',
    deaths: Array.from({ length: EXIT_RACES }, () => exit(3)),
  },
  { name: 'a thread executes another program, which exits with code 4', id: 'exec-in-thread', deaths: [exit(4)] },
  {
    name: 'a thread executes another program, which is not a termination, and exits with code 0',
    id: 'exec-in-thread-lives-on',
    deaths: [],
  },
  { name: 'a child of vfork exits with code 3 without an exec', id: 'vfork-exit', deaths: [exit(3)] },
  {
    name: 'a child of vfork finds no program to execute and exits with code 127',
    id: 'vfork-no-such-program',
    deaths: [exit(127)],
  },
  { name: 'a daemon whose parent has exited exits with code 4', id: 'double-fork', deaths: [exit(4)] },
  {
    name: 'a setuid-root program, started by an unprivileged user, exits with code 3',
    id: 'setuid-program',
    deaths: [exit(3)],
  },
  { name: 'a static program without libraries exits with code 3', id: 'bare-program', deaths: [exit(3)] },
  { name: 'a dynamic program exits with code 4 in its ELF interpreter', id: 'dynamic-program', deaths: [exit(4)] },
  {
    name: 'the interpreter of a script segfaults',
    id: 'script',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', segfault)],
  },
  {
    name: 'a program cannot be loaded after the point of no return: execve kills the process',
    id: 'broken-program',
    deaths: [kernel('kernel', 'SIGSEGV')],
  },
  {
    name: 'a process has arguments with spaces, quotes, a line break and non-ASCII characters',
    id: 'odd-arguments',
    deaths: [exit(3)],
  },
  { name: 'a process has arguments of 500 bytes', id: 'long-arguments', deaths: [exit(3)] },
  {
    name: 'a second process gets the pid of the first one shortly after it exited',
    id: 'pid-reuse',
    skip: pidOfChoice,
    deaths: [exit(3), exit(4)],
  },
  {
    name: 'a termination request to a process does not affect the next process with its pid',
    id: 'pid-reuse-after-request',
    skip: pidOfChoice,
    deaths: [exitAfterSignal(3, 'SIGTERM', 15), exit(4)],
  },
  { name: 'a process lives less than a millisecond', id: 'under-a-millisecond', deaths: [exit(3)] },
];
