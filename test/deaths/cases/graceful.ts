// SPDX-License-Identifier: Apache-2.0
// A process exits with code 0. It has a record if it handled a termination request of another process shortly before, and no other.
import type { Case } from './case.ts';
import { gracefulStop } from './expect.ts';

const stoppedBySigterm = [gracefulStop('SIGTERM', 15)];

/** Of our own program. */
export const gracefulCases: readonly Case[] = [
  {
    name: 'a process handles SIGTERM and then exits with code 0',
    id: 'sigterm-then-exit-0',
    deaths: [
      {
        ...gracefulStop('SIGTERM', 15),
        body: /stopped gracefully after .*: it exited with code 0, .* after it handled SIGTERM, sent by undertaker \(pid \d+, (?:root|uid 0)\)/,
      },
    ],
  },
  {
    name: 'a process handles SIGINT and then exits with code 0',
    id: 'sigint-then-exit-0',
    deaths: [gracefulStop('SIGINT', 2)],
  },
  {
    name: 'a process handles SIGHUP and then exits with code 0',
    id: 'sighup-then-exit-0',
    deaths: [gracefulStop('SIGHUP', 1)],
  },
  {
    name: 'a process handles SIGQUIT and then exits with code 0',
    id: 'sigquit-then-exit-0',
    deaths: [gracefulStop('SIGQUIT', 3)],
  },
  {
    name: 'a process handles SIGABRT of another process and then exits with code 0',
    id: 'sigabrt-then-exit-0',
    deaths: [gracefulStop('SIGABRT', 6)],
  },
  {
    name: 'a process handles SIGTERM, sent with sigqueue, and then exits with code 0',
    id: 'sigterm-queued-then-exit-0',
    deaths: stoppedBySigterm,
  },
  { name: 'a user types Ctrl-C, and the process exits with code 0', id: 'ctrl-c-then-exit-0', deaths: [] },
  { name: 'the terminal is closed, and the process exits with code 0', id: 'hangup-then-exit-0', deaths: [] },
];

/** Of programs that users run. */
export const gracefulWorldCases: readonly Case[] = [
  {
    name: 'one thread handles SIGTERM, and another exits with code 0',
    id: 'other-thread-exits-0',
    deaths: stoppedBySigterm,
  },
  {
    name: 'a process waits for SIGTERM with sigwait, and exits with code 0',
    id: 'sigwait-then-exit-0',
    deaths: stoppedBySigterm,
  },
  {
    name: "Python's own handler of SIGINT interrupts a program, which exits with code 0",
    id: 'python-interrupt-then-exit-0',
    deaths: [gracefulStop('SIGINT', 2)],
  },
  { name: 'Node.js stops on SIGTERM', id: 'node-stops-with-0', deaths: stoppedBySigterm },
  { name: 'a trap of a shell exits on SIGTERM', id: 'shell-trap-then-exit-0', deaths: stoppedBySigterm },
  { name: 'gunicorn stops on SIGTERM', id: 'gunicorn-stops-with-0', deaths: stoppedBySigterm },
  {
    name: 'systemd stops a service, which exits with code 0',
    id: 'systemd-stop-with-exit-0',
    deaths: stoppedBySigterm,
  },
  {
    name: 'a stopped process gets SIGTERM, continues, and exits with code 0',
    id: 'stopped-then-exit-0',
    deaths: stoppedBySigterm,
  },
  {
    name: 'a process reloads on SIGHUP from one process, and exits with code 0 on SIGTERM from another',
    id: 'reloaded-then-exit-0',
    deaths: stoppedBySigterm,
  },
  {
    name: 'a process handles SIGTERM from one process, ignores SIGHUP from another, and exits with code 0',
    id: 'ignored-hangup-then-exit-0',
    deaths: stoppedBySigterm,
  },
  { name: 'a process sends SIGTERM to itself, and exits with code 0', id: 'own-sigterm-then-exit-0', deaths: [] },
  { name: 'a timer of its own sends SIGTERM, and the process exits with code 0', id: 'timer-then-exit-0', deaths: [] },
  { name: 'a process ignores SIGTERM, and exits with code 0', id: 'sigterm-ignored-then-exit-0', deaths: [] },
  { name: 'a process blocks SIGTERM, and exits with code 0', id: 'sigterm-blocked-then-exit-0', deaths: [] },
  {
    name: 'a process with a handler blocks SIGTERM, and exits with code 0',
    id: 'sigterm-with-handler-blocked-then-exit-0',
    deaths: [],
  },
];
