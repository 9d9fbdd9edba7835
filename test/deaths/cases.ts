// SPDX-License-Identifier: Apache-2.0
// The conformance cases: what happens (a case of the undertaker) and what the record of each death must say about it beyond what
// the undertaker itself knows. A new case is one entry here and one in undertaker/cases.go.
import { existsSync } from 'node:fs';
import type { Value } from '../stack/otlp-file.ts';

export interface Expectation {
  readonly cause: string;
  readonly errorType: string;
  /** undefined: no signal had a part in it. */
  readonly senderKind?: 'process' | 'self' | 'kernel' | 'unknown';
  /** The signal that was handled shortly before it ended by itself. */
  readonly handledSignal?: number;
  /** Further attributes; null: must not be there. */
  readonly attributes?: Readonly<Record<string, Value | RegExp | null>>;
}

export interface Case {
  readonly name: string;
  readonly happens: string;
  /** One for each death that the undertaker tells of, in its order. Empty: there must be no record. */
  readonly deaths: readonly Expectation[];
  /** Not on this machine, and why. */
  readonly skip?: string | undefined;
}

const exit = (code: number): Expectation => ({ cause: 'exit', errorType: String(code) });
const killed = (signal: string): Expectation => ({
  cause: 'killed',
  errorType: signal,
  senderKind: 'process',
  attributes: { 'whodunit.signal.name': signal, 'whodunit.signal.disposition': 'default' },
});
const kernel = (cause: string, signal: string): Expectation => ({ cause, errorType: signal, senderKind: 'kernel' });
const fault = (signal: string, code: string | RegExp, attributes: Expectation['attributes'] = {}): Expectation => ({
  ...kernel('fault', signal),
  attributes: {
    'whodunit.signal.name': signal,
    'whodunit.signal.code': code,
    'whodunit.fault.instruction_pointer': /^0x[0-9a-f]+$/,
    'exception.type': signal,
    ...attributes,
  },
});
const segfault = { 'whodunit.fault.address': '0xbeef', 'exception.message': 'SEGV_MAPERR at 0xbeef' };
const abort: Expectation = {
  cause: 'abort',
  errorType: 'SIGABRT',
  senderKind: 'self',
  attributes: { 'whodunit.signal.code': 'SI_TKILL', 'exception.type': 'SIGABRT' },
};
const memoryLimitBytes = 32 * 1024 * 1024;

export const cases: readonly Case[] = [
  // By itself.
  { name: 'a process exits with code 3', happens: 'exit-3', deaths: [exit(3)] },
  { name: 'a thread that is not the first one calls exit_group', happens: 'exit-in-thread', deaths: [exit(6)] },
  {
    name: 'the first thread is long gone when another one ends the process',
    happens: 'leader-first',
    deaths: [exit(7)],
  },
  { name: 'a thread executes another program, which exits with code 4', happens: 'exec-in-thread', deaths: [exit(4)] },
  { name: 'a process has odd arguments', happens: 'odd-arguments', deaths: [exit(3)] },
  {
    name: 'two processes have the same pid, one soon after the other',
    happens: 'pid-reuse',
    skip: existsSync('/proc/sys/kernel/ns_last_pid') ? undefined : 'this kernel does not let a pid be chosen',
    deaths: [exit(3), exit(4)],
  },
  { name: 'a process lives less than a millisecond', happens: 'under-a-millisecond', deaths: [exit(3)] },
  { name: 'a process segfaults', happens: 'segfault', deaths: [fault('SIGSEGV', 'SEGV_MAPERR', segfault)] },
  {
    name: 'the second thread segfaults',
    happens: 'segfault-in-thread',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', { ...segfault, 'thread.name': 'second-thread' })],
  },
  {
    name: 'a non-canonical address raises a general protection fault, which has no address',
    happens: 'general-protection',
    skip: process.arch === 'x64' ? undefined : 'only amd64 has it',
    deaths: [fault('SIGSEGV', 'SI_KERNEL', { 'whodunit.fault.address': null })],
  },
  {
    name: 'a mapping beyond the end of its file raises SIGBUS',
    happens: 'bus-error',
    deaths: [fault('SIGBUS', 'BUS_ADRERR', { 'whodunit.fault.address': /^0x[0-9a-f]+$/ })],
  },
  {
    name: 'an undefined instruction raises SIGILL',
    happens: 'illegal-instruction',
    deaths: [fault('SIGILL', /^ILL_ILLOP[CN]$/)],
  },
  { name: 'a handler takes the fault and exits with code 2', happens: 'panic', deaths: [exit(2)] },
  {
    name: 'a handler takes the fault and aborts',
    happens: 'panic-abort',
    deaths: [{ ...abort, attributes: { 'exception.type': 'SIGABRT' } }],
  },
  { name: 'a process aborts', happens: 'abort', deaths: [abort] },
  { name: 'a process aborts and may leave a core', happens: 'abort-with-core', deaths: [abort] },
  {
    name: 'a process sends SIGUSR1 to itself',
    happens: 'raise-sigusr1',
    deaths: [{ cause: 'self_signal', errorType: 'SIGUSR1', senderKind: 'self' }],
  },

  // By another process.
  { name: 'another process sends SIGKILL to one with many threads', happens: 'sigkill', deaths: [killed('SIGKILL')] },
  { name: 'another process sends SIGTERM', happens: 'sigterm', deaths: [killed('SIGTERM')] },
  {
    name: 'another process sends SIGSEGV, which is no fault',
    happens: 'sigsegv',
    deaths: [{ ...killed('SIGSEGV'), attributes: { 'whodunit.fault.address': null, 'exception.type': null } }],
  },
  { name: 'another process sends SIGQUIT', happens: 'sigquit', deaths: [killed('SIGQUIT')] },
  { name: 'another process sends SIGINT', happens: 'sigint', deaths: [killed('SIGINT')] },
  {
    name: 'another process kills one whose first thread is long gone',
    happens: 'leader-gone',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'a process is stopped by one process and then killed by another',
    happens: 'stopped',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'two processes send SIGTERM to one that blocks it for a while: the first one counts',
    happens: 'first-of-two-senders',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'another process sends SIGTERM to one thread with tgkill',
    happens: 'tgkill',
    deaths: [{ ...killed('SIGTERM'), attributes: { 'whodunit.signal.code': 'SI_TKILL' } }],
  },
  { name: 'another process sends SIGKILL through a pidfd', happens: 'pidfd', deaths: [killed('SIGKILL')] },
  {
    name: 'another process sends SIGTERM with sigqueue',
    happens: 'sigqueue',
    deaths: [{ ...killed('SIGTERM'), attributes: { 'whodunit.signal.code': 'SI_QUEUE' } }],
  },
  { name: "an ordinary user kills that user's own process", happens: 'sigkill-by-nobody', deaths: [killed('SIGKILL')] },
  { name: 'the parent kills its child', happens: 'sigkill-by-parent', deaths: [killed('SIGKILL')] },
  {
    name: 'a signal to a process group kills all of it',
    happens: 'process-group',
    deaths: [killed('SIGTERM'), killed('SIGTERM')],
  },
  {
    name: 'a process handles SIGTERM and then exits with code 143',
    happens: 'sigterm-then-exit-143',
    deaths: [
      {
        ...exit(143),
        senderKind: 'process',
        handledSignal: 15,
        attributes: { 'whodunit.signal.name': 'SIGTERM', 'whodunit.signal.disposition': 'handled' },
      },
    ],
  },
  {
    name: 'a process ignores SIGTERM and is then killed',
    happens: 'sigterm-ignored-then-sigkill',
    deaths: [killed('SIGKILL')],
  },
  {
    name: "a language runtime's handler takes SIGTERM and raises it once more with the default action",
    happens: 'sigterm-in-go-runtime',
    deaths: [
      {
        cause: 'killed',
        errorType: 'SIGTERM',
        senderKind: 'process',
        attributes: { 'whodunit.signal.name': 'SIGTERM' },
      },
    ],
  },
  { name: 'another process writes to cgroup.kill', happens: 'cgroup-kill', deaths: [killed('SIGKILL')] },
  { name: 'killer and victim live in a pid namespace', happens: 'pid-namespace', deaths: [killed('SIGKILL')] },

  // By the kernel, for a reason.
  {
    name: 'a process hits the memory limit of its cgroup',
    happens: 'out-of-memory',
    deaths: [
      {
        ...kernel('oom_kill', 'oom_kill'),
        attributes: {
          'whodunit.oom.scope': 'cgroup',
          'whodunit.oom.limit': memoryLimitBytes,
          'whodunit.oom.cgroup': /^\/whodunit-deaths-\d+$/,
        },
      },
    ],
  },
  {
    name: 'the init of a pid namespace is killed, and everyone in there with it',
    happens: 'namespace-exit',
    deaths: [kernel('namespace_exit', 'SIGKILL'), killed('SIGKILL')],
  },
  {
    name: 'a parent dies whose child has asked for SIGTERM then',
    happens: 'parent-death',
    deaths: [kernel('parent_death', 'SIGTERM')],
  },
  { name: 'somebody types Ctrl-C', happens: 'ctrl-c', deaths: [kernel('terminal', 'SIGINT')] },
  { name: 'the terminal goes away', happens: 'hangup', deaths: [kernel('hangup', 'SIGHUP')] },
  {
    name: 'a process writes to a pipe that nobody reads',
    happens: 'broken-pipe',
    deaths: [kernel('broken_pipe', 'SIGPIPE')],
  },
  { name: 'an interval timer runs out', happens: 'alarm', deaths: [kernel('timer', 'SIGALRM')] },
  {
    name: 'a POSIX timer runs out',
    happens: 'posix-timer',
    deaths: [{ ...kernel('timer', 'SIGALRM'), attributes: { 'whodunit.signal.code': 'SI_TIMER' } }],
  },
  {
    name: 'a tracer ends that had asked for the death of whom it traced',
    happens: 'tracer-exit',
    deaths: [kernel('kernel', 'SIGKILL')],
  },
  {
    name: 'a process works beyond its RLIMIT_CPU',
    happens: 'cpu-limit',
    deaths: [kernel('resource_limit', 'SIGXCPU')],
  },
  {
    name: 'a process works beyond its hard RLIMIT_CPU',
    happens: 'cpu-limit-hard',
    deaths: [kernel('resource_limit', 'SIGKILL')],
  },
  {
    name: 'a process writes beyond its RLIMIT_FSIZE',
    happens: 'file-limit',
    deaths: [kernel('resource_limit', 'SIGXFSZ')],
  },
  {
    name: 'a process calls what its seccomp filter forbids',
    happens: 'seccomp',
    deaths: [{ ...kernel('seccomp', 'SIGSYS'), attributes: { 'whodunit.fault.syscall': 'getppid' } }],
  },

  // No death that is worth a record.
  { name: 'a process exits with code 0', happens: 'exit-0', deaths: [] },
  { name: 'a process handles SIGTERM and then exits with code 0', happens: 'sigterm-then-exit-0', deaths: [] },
];
