// SPDX-License-Identifier: Apache-2.0
// Terminations that the kernel initiates: faults, limits, timers, terminals, memory. The record must name no process as the sender.
import type { Case } from './case.ts';
import { exit, fault, kernel, killed, oomInCgroup, segfault } from './expect.ts';

const address = { 'whodunit.fault.address': /^0x[0-9a-f]+$/ };
const forbidden = { 'whodunit.fault.syscall': 'getppid' };
const timer = (signal: string, code: string) => ({
  ...kernel('timer', signal),
  attributes: { 'whodunit.signal.code': code },
});

const closedBy = /its terminal was closed by undertaker \(pid \d+, (?:root|uid 0)\)/;

export const kernelCases: readonly Case[] = [
  { name: 'a process segfaults', id: 'segfault', deaths: [fault('SIGSEGV', 'SEGV_MAPERR', segfault)] },
  {
    name: 'the second thread segfaults',
    id: 'segfault-in-thread',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', { ...segfault, 'thread.name': 'second-thread' })],
  },
  {
    name: 'the second thread segfaults with core dumps enabled',
    id: 'segfault-in-thread-with-core',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', { ...segfault, 'thread.name': 'second-thread' })],
  },
  {
    name: 'a non-canonical address raises a general protection fault, which has no address',
    id: 'general-protection',
    arch: 'x64',
    deaths: [fault('SIGSEGV', 'SI_KERNEL', { 'whodunit.fault.address': null })],
  },
  {
    name: 'a privileged instruction raises a general protection fault',
    id: 'privileged-instruction',
    arch: 'x64',
    deaths: [fault('SIGSEGV', 'SI_KERNEL', { 'whodunit.fault.address': null })],
  },
  {
    name: 'a process writes to read-only memory',
    id: 'write-read-only',
    deaths: [fault('SIGSEGV', 'SEGV_ACCERR', address)],
  },
  {
    name: 'a process executes data',
    id: 'execute-data',
    deaths: [fault('SIGSEGV', 'SEGV_ACCERR', address)],
  },
  {
    name: 'a process calls a function at address 0',
    id: 'jump-to-null',
    deaths: [
      fault('SIGSEGV', 'SEGV_MAPERR', {
        'whodunit.fault.address': '0x0',
        'whodunit.fault.instruction_pointer': '0x0',
        'exception.message': 'SEGV_MAPERR at 0x0',
      }),
    ],
  },
  {
    name: 'a process uses more stack than its limit',
    id: 'stack-overflow',
    deaths: [fault('SIGSEGV', /^SEGV_(MAP|ACC)ERR$/, address)],
  },
  {
    name: 'a mapping beyond the end of its file raises SIGBUS',
    id: 'bus-error',
    deaths: [fault('SIGBUS', 'BUS_ADRERR', address)],
  },
  {
    name: 'an undefined instruction raises SIGILL',
    id: 'illegal-instruction',
    deaths: [fault('SIGILL', /^ILL_ILLOP[CN]$/)],
  },
  {
    name: 'a division by zero raises SIGFPE',
    id: 'division-by-zero',
    arch: 'x64',
    deaths: [fault('SIGFPE', 'FPE_INTDIV')],
  },
  {
    name: 'a breakpoint without a debugger raises SIGTRAP',
    id: 'breakpoint',
    deaths: [fault('SIGTRAP', /^(SI_KERNEL|TRAP_BRKPT)$/)],
  },
  {
    name: 'a process hits the memory limit of its cgroup',
    id: 'out-of-memory',
    deaths: [
      {
        ...oomInCgroup,
        attributes: { ...oomInCgroup.attributes, 'whodunit.oom.cgroup': /^\/whodunit-deaths-\d+$/ },
      },
    ],
  },
  {
    name: 'one process uses up the memory of a cgroup, and the kernel kills another one',
    id: 'innocent-allocator',
    deaths: [oomInCgroup],
  },
  {
    name: 'a process is killed together with the out-of-memory victim whose memory it shares',
    id: 'shared-memory',
    deaths: [
      { ...kernel('oom_kill', 'oom_kill'), attributes: { 'whodunit.oom.scope': 'cgroup' } },
      { ...kernel('oom_kill', 'oom_kill'), attributes: { 'whodunit.oom.scope': 'cgroup' } },
    ],
  },
  {
    name: 'the OOM kill of a child does not affect the later exit of its parent',
    id: 'child-out-of-memory',
    deaths: [exit(1), oomInCgroup],
  },
  {
    name: 'another process sends SIGKILL to a victim of the out-of-memory killer that has not exited yet',
    id: 'chosen-and-killed',
    deaths: [oomInCgroup],
  },
  {
    name: 'the init of a pid namespace is killed, and the kernel kills every process in the namespace',
    id: 'namespace-exit',
    deaths: [kernel('namespace_exit', 'SIGKILL'), killed('SIGKILL')],
  },
  {
    name: 'the init of a pid namespace exits, and the kernel kills every process in the namespace',
    id: 'namespace-init-exits',
    deaths: [kernel('namespace_exit', 'SIGKILL'), exit(3)],
  },
  {
    name: 'the init of a pid namespace turns it off, and the kernel kills every process in the namespace',
    id: 'namespace-powers-off',
    deaths: [
      kernel('namespace_exit', 'SIGKILL'),
      { ...kernel('namespace_exit', 'SIGINT'), body: /after .*: its container was turned off \(reboot\(2\)\)\.$/ },
    ],
  },
  {
    name: 'a parent exits, and its child has PDEATHSIG set to SIGTERM',
    id: 'parent-death',
    deaths: [kernel('parent_death', 'SIGTERM')],
  },
  {
    name: 'a parent exits, and its child has PDEATHSIG set to SIGKILL',
    id: 'parent-death-sigkill',
    deaths: [kernel('parent_death', 'SIGKILL')],
  },
  {
    name: 'another process kills a parent, and its child has PDEATHSIG set to SIGTERM',
    id: 'parent-killed',
    deaths: [
      {
        ...kernel('parent_death', 'SIGTERM'),
        body: /its parent, undertaker \(pid \d+, (?:root|uid 0).*, terminated \(PR_SET_PDEATHSIG\); it was killed by SIGKILL, sent by undertaker/,
      },
    ],
  },
  {
    name: 'only the thread that started the child exits, and the child has PDEATHSIG set to SIGTERM',
    id: 'parent-thread-death',
    deaths: [kernel('parent_death', 'SIGTERM')],
  },
  {
    name: 'a child exits, and its exit signal SIGUSR1 kills the parent',
    id: 'child-exit-signal',
    deaths: [kernel('kernel', 'SIGUSR1')],
  },
  {
    name: 'a stopped process group is orphaned, which is not a hangup',
    id: 'orphaned-and-stopped',
    deaths: [kernel('kernel', 'SIGHUP')],
  },
  { name: 'a user types Ctrl-C', id: 'ctrl-c', deaths: [kernel('terminal', 'SIGINT')] },
  { name: 'a user types Ctrl-\\', id: 'ctrl-backslash', deaths: [kernel('terminal', 'SIGQUIT')] },
  { name: 'the terminal is closed', id: 'hangup', deaths: [{ ...kernel('hangup', 'SIGHUP'), body: closedBy }] },
  {
    name: 'a process writes to a pipe that has no reader',
    id: 'broken-pipe',
    deaths: [kernel('broken_pipe', 'SIGPIPE')],
  },
  {
    name: 'a process writes to a pipe that has no reader while it blocks SIGPIPE, then unblocks it',
    id: 'broken-pipe-blocked',
    deaths: [kernel('broken_pipe', 'SIGPIPE')],
  },
  {
    name: 'a process sends to a socket that has no reader',
    id: 'broken-socket',
    deaths: [kernel('broken_pipe', 'SIGPIPE')],
  },
  {
    name: 'a process requests SIGIO on input: the writer is not the sender',
    id: 'signal-on-input',
    deaths: [kernel('kernel', 'SIGIO')],
  },
  {
    name: 'a process requests SIGUSR1 on input: the writer is not the sender',
    id: 'other-signal-on-input',
    deaths: [kernel('kernel', 'SIGUSR1')],
  },
  {
    name: 'a process requests SIGUSR1 on a message in a queue: the writer is not the sender',
    id: 'signal-on-mail',
    deaths: [{ ...kernel('kernel', 'SIGUSR1'), attributes: { 'whodunit.signal.code': 'SI_MESGQ' } }],
  },
  { name: 'an interval timer expires', id: 'alarm', deaths: [timer('SIGALRM', 'SI_KERNEL')] },
  {
    name: 'an interval timer of user CPU time expires',
    id: 'virtual-timer',
    deaths: [timer('SIGVTALRM', 'SI_KERNEL')],
  },
  { name: 'an interval timer of CPU time expires', id: 'prof-timer', deaths: [timer('SIGPROF', 'SI_KERNEL')] },
  { name: 'a POSIX timer expires', id: 'posix-timer', deaths: [timer('SIGALRM', 'SI_TIMER')] },
  {
    name: 'a POSIX timer that sends SIGKILL expires, which is not an OOM kill',
    id: 'posix-timer-sigkill',
    deaths: [timer('SIGKILL', 'SI_TIMER')],
  },
  {
    name: 'a POSIX timer that sends SIGUSR2 expires',
    id: 'posix-timer-sigusr2',
    deaths: [timer('SIGUSR2', 'SI_TIMER')],
  },
  {
    name: 'a tracer with PTRACE_O_EXITKILL exits',
    id: 'tracer-exit',
    deaths: [kernel('kernel', 'SIGKILL')],
  },
  {
    name: 'a process exceeds its RLIMIT_CPU',
    id: 'cpu-limit',
    deaths: [kernel('resource_limit', 'SIGXCPU')],
  },
  {
    name: 'a process exceeds its hard RLIMIT_CPU',
    id: 'cpu-limit-hard',
    deaths: [kernel('resource_limit', 'SIGKILL')],
  },
  {
    name: 'a process with real-time priority exceeds its RLIMIT_RTTIME',
    id: 'realtime-limit',
    deaths: [kernel('resource_limit', 'SIGXCPU')],
  },
  {
    name: 'a process with real-time priority exceeds its hard RLIMIT_RTTIME',
    id: 'realtime-limit-hard',
    deaths: [kernel('resource_limit', 'SIGKILL')],
  },
  {
    name: 'a process writes beyond its RLIMIT_FSIZE',
    id: 'file-limit',
    deaths: [kernel('resource_limit', 'SIGXFSZ')],
  },
  {
    name: 'a process extends a file beyond its RLIMIT_FSIZE',
    id: 'truncate-limit',
    deaths: [kernel('resource_limit', 'SIGXFSZ')],
  },
  {
    name: 'a process makes a system call that its seccomp filter forbids',
    id: 'seccomp',
    deaths: [{ ...kernel('seccomp', 'SIGSYS'), attributes: forbidden }],
  },
  {
    name: 'a process makes a system call for which its seccomp filter sends SIGSYS',
    id: 'seccomp-trap',
    deaths: [{ ...kernel('seccomp', 'SIGSYS'), attributes: forbidden }],
  },
  {
    name: 'the only thread of a process makes a system call for which its seccomp filter kills the thread',
    id: 'seccomp-only-thread',
    deaths: [{ ...kernel('seccomp', 'SIGSYS'), attributes: forbidden }],
  },
  {
    name: 'a seccomp filter kills one thread: the process continues, and exits with code 3',
    id: 'seccomp-one-thread',
    deaths: [exit(3)],
  },
  {
    name: 'a process makes a system call that strict seccomp forbids',
    id: 'seccomp-strict',
    deaths: [kernel('seccomp', 'SIGKILL')],
  },
];
