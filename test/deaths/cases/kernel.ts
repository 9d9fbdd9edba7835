// SPDX-License-Identifier: Apache-2.0
// Terminations that the kernel decides on: faults, limits, timers, terminals, memory. No process is named as the sender.
import type { Case } from './case.ts';
import { exit, fault, kernel, killed, oomInCgroup, segfault } from './expect.ts';

const address = { 'whodunit.fault.address': /^0x[0-9a-f]+$/ };
const forbidden = { 'whodunit.fault.syscall': 'getppid' };
const timer = (signal: string, code: string) => ({
  ...kernel('timer', signal),
  attributes: { 'whodunit.signal.code': code },
});

export const kernelCases: readonly Case[] = [
  { name: 'a process segfaults', happens: 'segfault', deaths: [fault('SIGSEGV', 'SEGV_MAPERR', segfault)] },
  {
    name: 'the second thread segfaults',
    happens: 'segfault-in-thread',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', { ...segfault, 'thread.name': 'second-thread' })],
  },
  {
    name: 'the second thread segfaults and may leave a core',
    happens: 'segfault-in-thread-with-core',
    deaths: [fault('SIGSEGV', 'SEGV_MAPERR', { ...segfault, 'thread.name': 'second-thread' })],
  },
  {
    name: 'a non-canonical address raises a general protection fault, which has no address',
    happens: 'general-protection',
    arch: 'x64',
    deaths: [fault('SIGSEGV', 'SI_KERNEL', { 'whodunit.fault.address': null })],
  },
  {
    name: 'a privileged instruction raises a general protection fault',
    happens: 'privileged-instruction',
    arch: 'x64',
    deaths: [fault('SIGSEGV', 'SI_KERNEL', { 'whodunit.fault.address': null })],
  },
  {
    name: 'a process writes to read-only memory',
    happens: 'write-read-only',
    deaths: [fault('SIGSEGV', 'SEGV_ACCERR', address)],
  },
  {
    name: 'a process executes data',
    happens: 'execute-data',
    deaths: [fault('SIGSEGV', 'SEGV_ACCERR', address)],
  },
  {
    name: 'a process calls a function at address 0',
    happens: 'jump-to-null',
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
    happens: 'stack-overflow',
    deaths: [fault('SIGSEGV', /^SEGV_(MAP|ACC)ERR$/, address)],
  },
  {
    name: 'a mapping beyond the end of its file raises SIGBUS',
    happens: 'bus-error',
    deaths: [fault('SIGBUS', 'BUS_ADRERR', address)],
  },
  {
    name: 'an undefined instruction raises SIGILL',
    happens: 'illegal-instruction',
    deaths: [fault('SIGILL', /^ILL_ILLOP[CN]$/)],
  },
  {
    name: 'a division by zero raises SIGFPE',
    happens: 'division-by-zero',
    arch: 'x64',
    deaths: [fault('SIGFPE', 'FPE_INTDIV')],
  },
  {
    name: 'a breakpoint without a debugger raises SIGTRAP',
    happens: 'breakpoint',
    deaths: [fault('SIGTRAP', /^(SI_KERNEL|TRAP_BRKPT)$/)],
  },
  {
    name: 'a process hits the memory limit of its cgroup',
    happens: 'out-of-memory',
    deaths: [
      {
        ...oomInCgroup,
        attributes: { ...oomInCgroup.attributes, 'whodunit.oom.cgroup': /^\/whodunit-deaths-\d+$/ },
      },
    ],
  },
  {
    name: 'one process uses up the memory of a cgroup, and the kernel kills another one',
    happens: 'innocent-allocator',
    deaths: [oomInCgroup],
  },
  {
    name: 'a process is killed together with the out-of-memory victim whose memory it shares',
    happens: 'shared-memory',
    deaths: [
      { ...kernel('oom_kill', 'oom_kill'), attributes: { 'whodunit.oom.scope': 'cgroup' } },
      { ...kernel('oom_kill', 'oom_kill'), attributes: { 'whodunit.oom.scope': 'cgroup' } },
    ],
  },
  {
    name: 'a child is killed for lack of memory, which does not affect the later exit of its parent',
    happens: 'child-out-of-memory',
    deaths: [exit(1), oomInCgroup],
  },
  {
    name: 'another process sends SIGKILL to a victim of the out-of-memory killer that has not exited yet',
    happens: 'chosen-and-killed',
    deaths: [oomInCgroup],
  },
  {
    name: 'the init of a pid namespace is killed, and every process in it, too',
    happens: 'namespace-exit',
    deaths: [kernel('namespace_exit', 'SIGKILL'), killed('SIGKILL')],
  },
  {
    name: 'the init of a pid namespace exits, and every process in it is killed',
    happens: 'namespace-init-exits',
    deaths: [kernel('namespace_exit', 'SIGKILL'), exit(3)],
  },
  {
    name: 'a parent exits, and its child has set SIGTERM as its PDEATHSIG',
    happens: 'parent-death',
    deaths: [kernel('parent_death', 'SIGTERM')],
  },
  {
    name: 'a parent exits, and its child has set SIGKILL as its PDEATHSIG',
    happens: 'parent-death-sigkill',
    deaths: [kernel('parent_death', 'SIGKILL')],
  },
  {
    name: 'only the thread of the parent that started the child exits, and the child has set SIGTERM as its PDEATHSIG',
    happens: 'parent-thread-death',
    deaths: [kernel('parent_death', 'SIGTERM')],
  },
  {
    name: 'a child exits whose exit signal to its parent is SIGUSR1',
    happens: 'child-exit-signal',
    deaths: [kernel('kernel', 'SIGUSR1')],
  },
  {
    name: 'a stopped process group is orphaned, which is no hangup',
    happens: 'orphaned-and-stopped',
    deaths: [kernel('kernel', 'SIGHUP')],
  },
  { name: 'a user types Ctrl-C', happens: 'ctrl-c', deaths: [kernel('terminal', 'SIGINT')] },
  { name: 'a user types Ctrl-\\', happens: 'ctrl-backslash', deaths: [kernel('terminal', 'SIGQUIT')] },
  { name: 'the terminal is closed', happens: 'hangup', deaths: [kernel('hangup', 'SIGHUP')] },
  {
    name: 'a process writes to a pipe that has no reader',
    happens: 'broken-pipe',
    deaths: [kernel('broken_pipe', 'SIGPIPE')],
  },
  {
    name: 'a process writes to a pipe that has no reader, and blocks SIGPIPE for a while',
    happens: 'broken-pipe-blocked',
    deaths: [kernel('broken_pipe', 'SIGPIPE')],
  },
  {
    name: 'a process sends to a socket that has no reader',
    happens: 'broken-socket',
    deaths: [kernel('broken_pipe', 'SIGPIPE')],
  },
  {
    name: 'a process requests SIGIO on input: the writer is not the sender',
    happens: 'signal-on-input',
    deaths: [kernel('kernel', 'SIGIO')],
  },
  {
    name: 'a process requests SIGUSR1 on input: the writer is not the sender',
    happens: 'other-signal-on-input',
    deaths: [kernel('kernel', 'SIGUSR1')],
  },
  {
    name: 'a process requests SIGUSR1 on a message in a queue: the writer is not the sender',
    happens: 'signal-on-mail',
    deaths: [{ ...kernel('kernel', 'SIGUSR1'), attributes: { 'whodunit.signal.code': 'SI_MESGQ' } }],
  },
  { name: 'an interval timer expires', happens: 'alarm', deaths: [timer('SIGALRM', 'SI_KERNEL')] },
  {
    name: 'an interval timer of the CPU time in user mode expires',
    happens: 'virtual-timer',
    deaths: [timer('SIGVTALRM', 'SI_KERNEL')],
  },
  { name: 'an interval timer of the CPU time expires', happens: 'prof-timer', deaths: [timer('SIGPROF', 'SI_KERNEL')] },
  { name: 'a POSIX timer expires', happens: 'posix-timer', deaths: [timer('SIGALRM', 'SI_TIMER')] },
  {
    name: 'a POSIX timer that sends SIGKILL expires, which is no OOM kill',
    happens: 'posix-timer-sigkill',
    deaths: [timer('SIGKILL', 'SI_TIMER')],
  },
  {
    name: 'a POSIX timer that sends SIGUSR2 expires',
    happens: 'posix-timer-sigusr2',
    deaths: [timer('SIGUSR2', 'SI_TIMER')],
  },
  {
    name: 'a tracer with PTRACE_O_EXITKILL exits',
    happens: 'tracer-exit',
    deaths: [kernel('kernel', 'SIGKILL')],
  },
  {
    name: 'a process exceeds its RLIMIT_CPU',
    happens: 'cpu-limit',
    deaths: [kernel('resource_limit', 'SIGXCPU')],
  },
  {
    name: 'a process exceeds its hard RLIMIT_CPU',
    happens: 'cpu-limit-hard',
    deaths: [kernel('resource_limit', 'SIGKILL')],
  },
  {
    name: 'a process of real-time priority exceeds its RLIMIT_RTTIME',
    happens: 'realtime-limit',
    deaths: [kernel('resource_limit', 'SIGXCPU')],
  },
  {
    name: 'a process of real-time priority exceeds its hard RLIMIT_RTTIME',
    happens: 'realtime-limit-hard',
    deaths: [kernel('resource_limit', 'SIGKILL')],
  },
  {
    name: 'a process writes beyond its RLIMIT_FSIZE',
    happens: 'file-limit',
    deaths: [kernel('resource_limit', 'SIGXFSZ')],
  },
  {
    name: 'a process extends a file beyond its RLIMIT_FSIZE',
    happens: 'truncate-limit',
    deaths: [kernel('resource_limit', 'SIGXFSZ')],
  },
  {
    name: 'a process makes a system call that its seccomp filter forbids',
    happens: 'seccomp',
    deaths: [{ ...kernel('seccomp', 'SIGSYS'), attributes: forbidden }],
  },
  {
    name: 'a process makes a system call for which its seccomp filter sends SIGSYS',
    happens: 'seccomp-trap',
    deaths: [{ ...kernel('seccomp', 'SIGSYS'), attributes: forbidden }],
  },
  {
    name: 'the only thread of a process makes a system call for which its seccomp filter kills the thread',
    happens: 'seccomp-only-thread',
    deaths: [{ ...kernel('seccomp', 'SIGSYS'), attributes: forbidden }],
  },
  {
    name: 'a seccomp filter kills one thread: the process continues, and exits with code 3',
    happens: 'seccomp-one-thread',
    deaths: [exit(3)],
  },
  {
    name: 'a process makes a system call that strict seccomp forbids',
    happens: 'seccomp-strict',
    deaths: [kernel('seccomp', 'SIGKILL')],
  },
];
