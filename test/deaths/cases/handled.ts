// SPDX-License-Identifier: Apache-2.0
// A process handles or ignores a signal before it terminates. The record has the termination, and the signal with its sender.
import type { Case } from './case.ts';
import { abort, exit, exitAfterSignal, fault, killed, segfault } from './expect.ts';

const raisedAgain = (signal: string) => ({
  ...killed(signal),
  attributes: { 'whodunit.signal.name': signal, 'whodunit.signal.disposition': 'handled' },
});
const handledFault = /SIGSEGV with SEGV_MAPERR at 0xbeef.*, had been delivered to a handler/;
const request = (signal: string, what: string) => ({
  'whodunit.evidence': new RegExp(
    `${signal} from undertaker \\(pid \\d+\\) was ${what}, \\d+\\.\\d+ s before the termination`,
  ),
});

export const handledCases: readonly Case[] = [
  {
    name: 'the handler of a language runtime catches the fault and exits with code 2',
    id: 'panic',
    deaths: [{ ...exit(2), attributes: { 'whodunit.evidence': handledFault } }],
  },
  {
    name: 'the handler of a language runtime catches the fault and aborts',
    id: 'panic-abort',
    deaths: [{ ...abort, attributes: { 'exception.type': 'SIGABRT', 'whodunit.evidence': handledFault } }],
  },
  {
    name: 'a handler catches the fault and calls exit_group with code 7',
    id: 'fault-handler-exits',
    deaths: [{ ...exit(7), attributes: { 'whodunit.evidence': handledFault } }],
  },
  {
    name: 'a handler catches the fault once and returns, and the instruction faults again',
    id: 'fault-handler-returns',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', segfault)],
  },
  {
    name: 'a handler catches the fault and raises it again with the default action',
    id: 'fault-handler-raises',
    deaths: [{ ...fault('SIGSEGV', 'SEGV_MAPERR', segfault), senderKind: 'self' }],
  },
  {
    name: 'a handler cannot run at a fault, because its stack is not mapped',
    id: 'fault-handler-without-stack',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', { ...segfault, 'whodunit.evidence': /could not run the handler/ })],
  },
  {
    name: 'another process sends SIGSEGV, and its handler raises it again',
    id: 'sigsegv-handler-raises',
    deaths: [raisedAgain('SIGSEGV')],
  },
  {
    name: 'another process sends SIGABRT, as watchdogs do, and its handler raises it again',
    id: 'sigabrt-handler-raises',
    deaths: [raisedAgain('SIGABRT')],
  },
  {
    name: 'another process sends SIGABRT, as watchdogs do, and its handler exits with code 7',
    id: 'sigabrt-handler-exits',
    deaths: [exitAfterSignal(7, 'SIGABRT', 6)],
  },
  {
    name: 'another process sends SIGTERM, and its handler raises it again',
    id: 'sigterm-handler-raises',
    deaths: [raisedAgain('SIGTERM')],
  },
  {
    name: "a language runtime's handler catches SIGTERM and raises it again with the default action",
    id: 'sigterm-in-go-runtime',
    deaths: [raisedAgain('SIGTERM')],
  },
  {
    name: 'a process handles SIGTERM and then exits with code 1',
    id: 'sigterm-then-exit-1',
    deaths: [exitAfterSignal(1, 'SIGTERM', 15)],
  },
  {
    name: 'a process handles SIGTERM and then exits with code 143',
    id: 'sigterm-then-exit-143',
    deaths: [exitAfterSignal(143, 'SIGTERM', 15)],
  },
  {
    name: 'a process handles SIGHUP and then exits with code 1',
    id: 'sighup-then-exit-1',
    deaths: [exitAfterSignal(1, 'SIGHUP', 1)],
  },
  {
    name: 'a user types Ctrl-C, and the process exits with code 130',
    id: 'ctrl-c-then-exit-130',
    deaths: [{ ...exitAfterSignal(130, 'SIGINT', 2), senderKind: 'kernel' }],
  },
  {
    name: 'the terminal is closed, and the process exits with code 1',
    id: 'hangup-then-exit-1',
    deaths: [{ ...exitAfterSignal(1, 'SIGHUP', 1), senderKind: 'kernel' }],
  },
  {
    name: 'a process segfaults while it handles SIGTERM',
    id: 'sigterm-then-segfault',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', { ...segfault, ...request('SIGTERM', 'handled') })],
  },
  {
    name: 'a process ignores SIGTERM from one process and is then killed by another',
    id: 'sigterm-ignored-then-sigkill',
    deaths: [{ ...killed('SIGKILL'), attributes: request('SIGTERM', 'ignored') }],
  },
  {
    name: 'a process handles SIGTERM from one process, continues, and is then killed by another',
    id: 'sigterm-handled-then-sigkill',
    deaths: [{ ...killed('SIGKILL'), attributes: request('SIGTERM', 'handled') }],
  },
  {
    name: 'a process handles SIGHUP from one process, and then exits because of SIGTERM from another',
    id: 'two-requests',
    deaths: [exitAfterSignal(1, 'SIGTERM', 15)],
  },
];
