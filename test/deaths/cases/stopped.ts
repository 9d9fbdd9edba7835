// SPDX-License-Identifier: Apache-2.0
// A process is stopped by a signal when another one comes: the record says since when, and by which process.
import type { Case, Expectation } from './case.ts';
import { killed } from './expect.ts';

const undertaker = /undertaker \(pid \d+, (?:root|uid 0)\)/.source;
const seconds = /\d+(?:\.\d+)? (?:µs|ms|s)/.source;

/** The stop of another process, which was in effect at the end. */
const stopped = (how: Expectation, signal: string, evidence?: RegExp): Expectation => ({
  ...how,
  attributes: {
    ...how.attributes,
    'whodunit.stop.signal.name': signal,
    'whodunit.stop.sender.kind': 'process',
    'whodunit.stop.sender.name': 'undertaker',
    'whodunit.stop.continued': false,
    ...(evidence && { 'whodunit.evidence': evidence }),
  },
  body: new RegExp(`; it had been stopped for ${seconds} by ${signal}, sent by ${undertaker}.*\\.$`),
});

/** By its terminal. */
const suspended = (signal: string, why: string): Expectation => ({
  ...killed('SIGKILL'),
  attributes: {
    'whodunit.stop.signal.name': signal,
    'whodunit.stop.sender.kind': 'kernel',
    'whodunit.stop.sender.pid': null,
  },
  body: new RegExp(`; it had been stopped for ${seconds} by ${signal}: ${why}\\.$`),
});

const notStopped = (how: Expectation, evidence?: RegExp): Expectation => ({
  ...how,
  attributes: {
    ...how.attributes,
    'whodunit.stop.signal.name': null,
    ...(evidence && { 'whodunit.evidence': evidence }),
  },
  body: /^(?!.*had been stopped)/,
});

const sigtermWaited = /SIGTERM from undertaker \(pid \d+\) came while it was stopped, \d+\.\d+ s before/;

export const stoppedCases: readonly Case[] = [
  {
    name: 'a process is stopped by one process and then killed by another',
    id: 'stopped',
    deaths: [stopped(killed('SIGKILL'), 'SIGSTOP')],
  },
  {
    name: 'SIGSTOP, SIGTERM without a handler, SIGKILL: SIGTERM was not blocked',
    id: 'stopped-sigterm-sigkill',
    deaths: [stopped(killed('SIGKILL'), 'SIGSTOP', sigtermWaited)],
  },
  {
    name: 'SIGSTOP, SIGTERM with a handler, SIGKILL: the handler did not run',
    id: 'stopped-handler-sigkill',
    deaths: [stopped(killed('SIGKILL'), 'SIGSTOP', sigtermWaited)],
  },
  {
    name: 'SIGSTOP, SIGTERM and SIGKILL to a process with many threads',
    id: 'stopped-threads-sigkill',
    deaths: [stopped(killed('SIGKILL'), 'SIGSTOP', sigtermWaited)],
  },
  {
    name: 'another process sends SIGTSTP, and then SIGKILL',
    id: 'stopped-by-sigtstp',
    deaths: [stopped(killed('SIGKILL'), 'SIGTSTP')],
  },
  {
    name: 'two processes send SIGSTOP: the first one stopped it',
    id: 'stopped-twice',
    deaths: [stopped(killed('SIGKILL'), 'SIGSTOP')],
  },
  {
    name: 'a process is stopped, continued, stopped again and killed',
    id: 'stopped-continued-stopped',
    deaths: [stopped(killed('SIGKILL'), 'SIGSTOP')],
  },
  {
    name: 'SIGTERM comes while the process is stopped, and terminates it when it is continued',
    id: 'stopped-sigterm-continued',
    deaths: [
      {
        ...killed('SIGTERM'),
        attributes: { 'whodunit.stop.signal.name': 'SIGSTOP', 'whodunit.stop.continued': true },
        body: new RegExp(`; it had been stopped for ${seconds} by SIGSTOP, sent by ${undertaker}.*, when SIGTERM came`),
      },
    ],
  },
  {
    name: 'a process is stopped and continued before it is killed: it was not stopped',
    id: 'stopped-continued-sigkill',
    deaths: [notStopped(killed('SIGKILL'))],
  },
  {
    name: 'SIGTERM comes while the process is stopped, is handled when it is continued, and SIGKILL comes later',
    id: 'stopped-request-continued-sigkill',
    deaths: [
      {
        ...killed('SIGKILL'),
        attributes: {
          'whodunit.evidence': /SIGTERM from undertaker \(pid \d+\) came while it was stopped, .*continued/s,
        },
      },
    ],
  },
  {
    name: 'Ctrl-Z does not stop a process in an orphaned group; Ctrl-C interrupts it',
    id: 'sigtstp-orphaned-group',
    deaths: [notStopped({ cause: 'terminal', errorType: 'SIGINT', senderKind: 'kernel' })],
  },
  {
    name: 'a job is suspended with Ctrl-Z, and then killed',
    id: 'suspended-with-ctrl-z',
    deaths: [suspended('SIGTSTP', 'Ctrl-Z at its terminal')],
  },
  {
    name: 'a job reads from its terminal in the background, and is killed',
    id: 'reads-in-background',
    deaths: [suspended('SIGTTIN', 'it read from its terminal in the background')],
  },
  {
    name: 'a job writes to its terminal in the background, and is killed',
    id: 'writes-in-background',
    deaths: [suspended('SIGTTOU', 'it wrote to its terminal in the background, or changed its settings')],
  },
];
