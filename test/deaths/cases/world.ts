// SPDX-License-Identifier: Apache-2.0
// The programs of the world: languages, shells, sudo, systemd, containers. Each dies as its users see it die.
import type { Case, Expectation } from './case.ts';
import { abort, askedToExit, exit, fault, kernel, killed, memoryLimitBytes } from './expect.ts';

const node = { 'process.runtime.name': 'nodejs' };
const python = { 'process.runtime.name': 'cpython' };
const jvm = { 'process.runtime.name': 'OpenJDK' };
/** Without glibc's abort: V8, the JVM and Rust end in it as well. */
const abortAfterSegv: Expectation = {
  ...abort,
  attributes: {
    ...abort.attributes,
    'whodunit.evidence': /SIGSEGV with SEGV_\w+ at 0x[0-9a-f]+.*delivered to a handler/,
  },
};

/** SIGKILL after a grace: the evidence names the SIGTERM that came before. */
const killedAfterSigterm = (evidence: RegExp): Expectation => ({
  ...killed('SIGKILL'),
  attributes: { ...killed('SIGKILL').attributes, 'whodunit.evidence': evidence },
});

const languageCases: readonly Case[] = [
  { name: 'a command of a shell with set -e fails', happens: 'bash-set-e', deaths: [exit(1)] },
  { name: 'a shell does not find the command', happens: 'bash-command-not-found', deaths: [exit(127)] },
  { name: 'a shell cannot execute the file', happens: 'bash-exec-format-error', deaths: [exit(126)] },
  {
    name: 'a shell kills itself',
    happens: 'bash-kills-itself',
    deaths: [{ cause: 'self_signal', errorType: 'SIGKILL', senderKind: 'self', body: /^bash / }],
  },
  { name: 'a Perl script dies', happens: 'perl-die', deaths: [exit(255)] },
  {
    name: 'uncaught exception in Node.js',
    happens: 'node-uncaught-exception',
    deaths: [{ ...exit(1), resource: node, body: /^node \(pid \d+\) exited with code 1/ }],
  },
  { name: 'Node.js exits with code 7', happens: 'node-exit', deaths: [{ ...exit(7), resource: node }] },
  { name: 'Node.js aborts', happens: 'node-abort', deaths: [{ ...abort, resource: node, body: /^node .*aborted/ }] },
  {
    name: 'the heap of Node.js is full',
    happens: 'node-out-of-heap',
    deaths: [{ ...abort, resource: node, body: /^node .*aborted/ }],
  },
  {
    name: 'another process sends SIGTERM to Node.js, which has no handler for it',
    happens: 'node-sigterm',
    deaths: [{ cause: 'killed', errorType: 'SIGTERM', senderKind: 'process', resource: node }],
  },
  {
    name: 'uncaught exception in Python',
    happens: 'python-exception',
    deaths: [{ ...exit(1), resource: python }],
  },
  { name: 'Python exits with code 3', happens: 'python-exit', deaths: [{ ...exit(3), resource: python }] },
  { name: 'Python aborts', happens: 'python-abort', deaths: [{ ...abort, resource: python }] },
  {
    name: 'Python writes through ctypes to an address that is not mapped',
    happens: 'python-segfault',
    deaths: [{ ...fault('SIGSEGV', 'SEGV_MAPERR', { 'whodunit.fault.address': '0xbeef' }), resource: python }],
  },
  {
    name: 'SIGINT interrupts Python, which raises it again after its own KeyboardInterrupt',
    happens: 'python-keyboard-interrupt',
    deaths: [
      {
        cause: 'killed',
        errorType: 'SIGINT',
        senderKind: 'process',
        attributes: { 'whodunit.signal.disposition': 'handled' },
        resource: python,
      },
    ],
  },
  {
    name: "Python's fault handler prints a traceback and lets the fault happen again",
    happens: 'python-faulthandler',
    deaths: [{ cause: 'fault', errorType: 'SIGSEGV', senderKind: 'self', resource: python }],
  },
  {
    name: 'Python waits for SIGTERM with sigwait, and exits with code 3',
    happens: 'python-sigwait',
    deaths: [{ ...askedToExit(3, 'SIGTERM', 15), resource: python }],
  },
  {
    name: 'Python exits with code 3 while a SIGTERM is blocked, so the signal has no part in it',
    happens: 'python-blocked',
    deaths: [
      {
        ...exit(3),
        attributes: { 'whodunit.evidence': /SIGTERM from undertaker \(pid \d+\) was blocked/ },
        resource: python,
      },
    ],
  },
  { name: 'uncaught exception in Java', happens: 'jvm-exception', deaths: [{ ...exit(1), resource: jvm }] },
  { name: 'Java halts with code 5', happens: 'jvm-halt', deaths: [{ ...exit(5), resource: jvm }] },
  {
    name: 'a JVM exits when its heap is full',
    happens: 'jvm-out-of-memory',
    deaths: [{ ...exit(3), resource: jvm }],
  },
  { name: 'SIGQUIT makes a JVM print its threads, and the JVM continues', happens: 'jvm-thread-dump', deaths: [] },
  {
    name: 'another process sends SIGTERM to a JVM',
    happens: 'jvm-sigterm',
    deaths: [{ ...askedToExit(143, 'SIGTERM', 15), resource: jvm }],
  },
  {
    name: 'a fault crashes a JVM, whose handler writes a report and aborts',
    happens: 'jvm-crash',
    deaths: [{ ...abortAfterSegv, resource: jvm, body: /^java / }],
  },
  {
    name: 'SIGQUIT makes a Go program print its goroutines and exit with code 2',
    happens: 'go-sigquit',
    deaths: [askedToExit(2, 'SIGQUIT', 3)],
  },
  { name: 'uncaught exception in C++', happens: 'cpp-uncaught-exception', deaths: [abort] },
  { name: 'a C++ program terminates', happens: 'cpp-terminate', deaths: [abort] },
  { name: 'a Rust program panics', happens: 'rust-panic', deaths: [exit(101)] },
  {
    name: 'the stack of a Rust program overflows, which its handler prints before it aborts',
    happens: 'rust-stack-overflow',
    deaths: [abortAfterSegv],
  },
];

const programCases: readonly Case[] = [
  { name: "bash's own kill sends SIGTERM", happens: 'kill-of-bash', deaths: [killed('SIGTERM')] },
  { name: "dash's own kill sends SIGKILL", happens: 'kill-of-dash', deaths: [killed('SIGKILL')] },
  { name: 'the kill of procps sends SIGTERM', happens: 'kill-of-procps', deaths: [killed('SIGTERM')] },
  { name: 'pkill sends SIGKILL', happens: 'pkill', deaths: [killed('SIGKILL')] },
  {
    name: 'kill under sudo, as another user',
    happens: 'sudo',
    deaths: [{ ...killed('SIGTERM'), body: /sent by kill \(pid \d+, nobody\) ← sudo/ }],
  },
  {
    name: 'sudo forwards SIGTERM to its command, waits, and sends it to itself',
    happens: 'sudo-relays',
    deaths: [
      { ...killed('SIGTERM'), attributes: { 'whodunit.signal.disposition': 'handled' } },
      { ...killed('SIGTERM'), body: /sent by sudo \(pid \d+, root\)/ },
    ],
  },
  { name: 'a shell under su kills as another user', happens: 'su', deaths: [killed('SIGTERM')] },
  {
    name: 'timeout ends its command after the time limit, and exits with code 124',
    happens: 'timeout',
    deaths: [killed('SIGTERM'), exit(124)],
  },
  {
    name: 'timeout kills its whole process group with SIGKILL, and so itself',
    happens: 'timeout-sigkill',
    deaths: [killed('SIGKILL'), { cause: 'self_signal', errorType: 'SIGKILL', senderKind: 'self' }],
  },
  { name: 'a supervisor terminates its child', happens: 'supervisor', deaths: [killed('SIGTERM')] },
];

/** The limit of a cgroup with this name was hit. */
const outOfMemoryIn = (cgroup: RegExp): Expectation => ({
  ...kernel('oom_kill', 'oom_kill'),
  attributes: {
    'whodunit.oom.scope': 'cgroup',
    'whodunit.oom.limit': memoryLimitBytes,
    'whodunit.oom.cgroup': cgroup,
  },
});

/** systemd's services: what their unit is called names the service. */
const service = { 'service.name': 'victim', 'whodunit.systemd.unit': 'victim.service' };

const systemdCases: readonly Case[] = [
  {
    name: 'systemctl stop',
    happens: 'systemd-stop',
    deaths: [{ ...killed('SIGTERM'), resource: service, body: /sent by systemd/ }],
  },
  {
    name: 'systemctl stop, and the service handles SIGTERM and exits with code 3',
    happens: 'systemd-stop-handled',
    deaths: [{ ...askedToExit(3, 'SIGTERM', 15), resource: service }],
  },
  {
    name: 'systemctl stop, and the service ignores SIGTERM until TimeoutStopSec is over',
    happens: 'systemd-stop-ignored',
    deaths: [{ ...killedAfterSigterm(/SIGTERM from systemd \(pid \d+\) was ignored/), resource: service }],
  },
  { name: 'systemctl kill', happens: 'systemd-kill', deaths: [{ ...killed('SIGKILL'), resource: service }] },
  {
    name: 'a service hits its MemoryMax',
    happens: 'systemd-out-of-memory',
    deaths: [{ ...outOfMemoryIn(/\/system\.slice\/victim\.service$/), resource: service }],
  },
  {
    name: "systemd's watchdog aborts a service that does not report",
    happens: 'systemd-watchdog',
    deaths: [{ ...killed('SIGABRT'), resource: service }],
  },
];

const containerCases: readonly Case[] = [
  { name: 'process 1 of a container exits with code 3', happens: 'container-exit', deaths: [exit(3)] },
  {
    name: 'a container hits its memory limit',
    happens: 'container-out-of-memory',
    deaths: [outOfMemoryIn(/^\/docker\/[0-9a-f]{64}$/)],
  },
  {
    name: 'process 1 of a container exits, and the kernel kills the others in it',
    happens: 'container-init-exits',
    deaths: [kernel('namespace_exit', 'SIGKILL'), exit(3)],
  },
  {
    name: 'a process in a container kills another one in it',
    happens: 'container-killed-inside',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'docker kill',
    happens: 'docker-kill',
    deaths: [
      {
        ...killed('SIGKILL'),
        attributes: { 'whodunit.sender.container.id': null },
        body: /sent by runc \(pid \d+, root\) ← containerd-shim/,
      },
    ],
  },
  {
    name: 'docker stop, and process 1 handles SIGTERM and exits with code 3',
    happens: 'docker-stop-handled',
    deaths: [askedToExit(3, 'SIGTERM', 15)],
  },
  {
    name: 'docker stop, and a Go program as process 1 raises SIGTERM again, without effect, and exits with code 2',
    happens: 'docker-stop-raised-again',
    deaths: [askedToExit(2, 'SIGTERM', 15)],
  },
  {
    name: 'docker stop, and the init of docker run --init forwards SIGTERM to the program',
    happens: 'docker-stop-init',
    deaths: [killed('SIGTERM'), askedToExit(143, 'SIGTERM', 15)],
  },
  {
    name: 'docker stop, and process 1 ignores SIGTERM',
    happens: 'docker-stop-ignored',
    deaths: [killedAfterSigterm(/SIGTERM from runc \(pid \d+\) was ignored, \d\.\d+ s before/)],
  },
  {
    name: 'docker stop, and process 1 has no handler for SIGTERM: the kernel drops the signal to an init',
    happens: 'docker-stop-no-handler',
    deaths: [killedAfterSigterm(/SIGTERM from runc \(pid \d+\) was ignored: the process is the init of a pid namespace/)],
  },
];

export const worldCases: readonly Case[] = [...languageCases, ...programCases, ...systemdCases, ...containerCases];
