// SPDX-License-Identifier: Apache-2.0
// Programs that users run: language runtimes, shells, sudo, systemd, containers, and the ways in which they commonly terminate.
import type { Case, Expectation } from './case.ts';
import { abort, exit, exitAfterSignal, fault, kernel, killed, memoryLimitBytes } from './expect.ts';

const node = { 'process.runtime.name': 'nodejs' };
const python = { 'process.runtime.name': 'cpython' };
const jvm = { 'process.runtime.name': 'OpenJDK' };
/** A SIGSEGV handler that aborts, as the JVM and Rust have. */
const abortAfterSegv: Expectation = {
  ...abort,
  attributes: {
    ...abort.attributes,
    'whodunit.evidence': /SIGSEGV with SEGV_\w+ at 0x[0-9a-f]+.*delivered to a handler/,
  },
};

/** SIGKILL after a grace period. The evidence names the SIGTERM before it. */
const killedAfterSigterm = (evidence: RegExp): Expectation => ({
  ...killed('SIGKILL'),
  attributes: { ...killed('SIGKILL').attributes, 'whodunit.evidence': evidence },
});

const languageCases: readonly Case[] = [
  { name: 'a command of a shell with set -e fails', id: 'bash-set-e', deaths: [exit(1)] },
  { name: 'a shell does not find the command', id: 'bash-command-not-found', deaths: [exit(127)] },
  { name: 'a shell cannot execute the file', id: 'bash-exec-format-error', deaths: [exit(126)] },
  {
    name: 'a shell kills itself',
    id: 'bash-kills-itself',
    deaths: [{ cause: 'self_signal', errorType: 'SIGKILL', senderKind: 'self', body: /^bash / }],
  },
  { name: 'a Perl script calls die', id: 'perl-die', deaths: [exit(255)] },
  {
    name: 'uncaught exception in Node.js',
    id: 'node-uncaught-exception',
    deaths: [{ ...exit(1), resource: node, body: /^node \(pid \d+\) exited with code 1/ }],
  },
  { name: 'Node.js exits with code 7', id: 'node-exit', deaths: [{ ...exit(7), resource: node }] },
  {
    name: 'Node.js exits with code 4, which is none of its own',
    id: 'node-exit-4',
    deaths: [{ ...exit(4), resource: node, attributes: { 'whodunit.exit.meaning': null } }],
  },
  { name: 'Node.js aborts', id: 'node-abort', deaths: [{ ...abort, resource: node, body: /^node .*aborted/ }] },
  {
    name: 'Node.js runs out of heap',
    id: 'node-out-of-heap',
    deaths: [{ ...abort, resource: node, body: /^node .*aborted/ }],
  },
  {
    name: 'another process sends SIGTERM to Node.js, which has no handler for it',
    id: 'node-sigterm',
    deaths: [{ cause: 'killed', errorType: 'SIGTERM', senderKind: 'process', resource: node }],
  },
  {
    name: 'uncaught exception in Python',
    id: 'python-exception',
    deaths: [{ ...exit(1), resource: python }],
  },
  { name: 'Python exits with code 3', id: 'python-exit', deaths: [{ ...exit(3), resource: python }] },
  { name: 'Python aborts', id: 'python-abort', deaths: [{ ...abort, resource: python }] },
  {
    name: 'Python writes through ctypes to an address that is not mapped',
    id: 'python-segfault',
    deaths: [{ ...fault('SIGSEGV', 'SEGV_MAPERR', { 'whodunit.fault.address': '0xbeef' }), resource: python }],
  },
  {
    name: 'SIGINT interrupts Python, which raises it again after its own KeyboardInterrupt',
    id: 'python-keyboard-interrupt',
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
    name: "Python's faulthandler prints a traceback and raises the signal again",
    id: 'python-faulthandler',
    deaths: [{ cause: 'fault', errorType: 'SIGSEGV', senderKind: 'self', resource: python }],
  },
  {
    name: 'Python waits for SIGTERM with sigwait, and exits with code 3',
    id: 'python-sigwait',
    deaths: [{ ...exitAfterSignal(3, 'SIGTERM', 15), resource: python }],
  },
  {
    name: 'Python exits with code 3 while SIGTERM is pending but blocked, so the signal is not the reason',
    id: 'python-blocked',
    deaths: [
      {
        ...exit(3),
        attributes: { 'whodunit.evidence': /SIGTERM from undertaker \(pid \d+\) was blocked/ },
        resource: python,
      },
    ],
  },
  { name: 'uncaught exception in Java', id: 'jvm-exception', deaths: [{ ...exit(1), resource: jvm }] },
  { name: 'Java halts with code 5', id: 'jvm-halt', deaths: [{ ...exit(5), resource: jvm }] },
  {
    name: 'a JVM runs out of heap and exits',
    id: 'jvm-out-of-memory',
    deaths: [{ ...exit(3), resource: jvm }],
  },
  { name: 'SIGQUIT makes a JVM print its threads, and the JVM continues', id: 'jvm-thread-dump', deaths: [] },
  {
    name: 'another process sends SIGTERM to a JVM',
    id: 'jvm-sigterm',
    deaths: [{ ...exitAfterSignal(143, 'SIGTERM', 15), resource: jvm }],
  },
  {
    name: 'a fault crashes a JVM, whose handler writes a report and aborts',
    id: 'jvm-crash',
    deaths: [{ ...abortAfterSegv, resource: jvm, body: /^java / }],
  },
  {
    name: 'a Go program panics',
    id: 'go-panic',
    deaths: [
      {
        ...exit(2),
        attributes: { 'whodunit.exit.meaning': /^an unrecovered panic/ },
        resource: { 'process.runtime.name': 'go' },
      },
    ],
  },
  {
    name: 'SIGQUIT makes a Go program print its goroutines and exit with code 2',
    id: 'go-sigquit',
    deaths: [exitAfterSignal(2, 'SIGQUIT', 3)],
  },
  { name: 'uncaught exception in C++', id: 'cpp-uncaught-exception', deaths: [abort] },
  { name: 'a C++ program calls std::terminate', id: 'cpp-terminate', deaths: [abort] },
  { name: 'a Rust program panics', id: 'rust-panic', deaths: [exit(101)] },
  {
    name: 'a Rust program overflows its stack, and its handler prints a message and aborts',
    id: 'rust-stack-overflow',
    deaths: [abortAfterSegv],
  },
];

const programCases: readonly Case[] = [
  { name: 'the builtin kill of bash sends SIGTERM', id: 'kill-of-bash', deaths: [killed('SIGTERM')] },
  { name: 'the builtin kill of dash sends SIGKILL', id: 'kill-of-dash', deaths: [killed('SIGKILL')] },
  { name: 'kill(1) of procps sends SIGTERM', id: 'kill-of-procps', deaths: [killed('SIGTERM')] },
  {
    name: 'pkill sends SIGKILL',
    id: 'pkill',
    deaths: [{ ...killed('SIGKILL'), body: /sent by pkill \(pid.*: selected by `pkill -KILL -P \d+ -x mortal`/ }],
  },
  {
    name: 'an agent in Node.js has a shell execute pkill -f',
    id: 'pkill-by-agent',
    deaths: [
      {
        ...killed('SIGKILL'),
        body: /sent by pkill \(pid \d+, root\) ← bash ← node agent\.js ← .*: selected by `pkill -KILL -P \d+ -f \[m\]ortal\.as\.0`/,
      },
    ],
  },
  {
    name: 'kill(1) under sudo sends SIGTERM as another user',
    id: 'sudo',
    deaths: [{ ...killed('SIGTERM'), body: /sent by kill \(pid \d+, nobody\) ← sudo/ }],
  },
  {
    name: 'sudo forwards SIGTERM to its command, waits, and sends it to itself',
    id: 'sudo-relays',
    deaths: [
      { ...killed('SIGTERM'), attributes: { 'whodunit.signal.disposition': 'handled' } },
      { ...killed('SIGTERM'), body: /sent by sudo \(pid \d+, root\)/ },
    ],
  },
  { name: 'the builtin kill of a shell under su sends SIGTERM as another user', id: 'su', deaths: [killed('SIGTERM')] },
  {
    name: 'timeout terminates its command after the time limit and exits with code 124',
    id: 'timeout',
    deaths: [killed('SIGTERM'), exit(124)],
  },
  {
    name: 'timeout sends SIGKILL to its own process group, which includes itself',
    id: 'timeout-sigkill',
    deaths: [killed('SIGKILL'), { cause: 'self_signal', errorType: 'SIGKILL', senderKind: 'self' }],
  },
  { name: 'a supervisor terminates its child', id: 'supervisor', deaths: [killed('SIGTERM')] },
];

/** A cgroup whose path matches reached its memory limit. */
const outOfMemoryIn = (cgroup: RegExp): Expectation => ({
  ...kernel('oom_kill', 'oom_kill'),
  attributes: {
    'whodunit.oom.scope': 'cgroup',
    'whodunit.oom.limit': memoryLimitBytes,
    'whodunit.oom.cgroup': cgroup,
  },
});

/** The name of the unit names the service. */
const service = { 'service.name': 'victim', 'whodunit.systemd.unit': 'victim.service' };

/** A command asked for it. */
const asked = (of: Expectation, basis: string, command: RegExp, reason?: readonly string[]): Expectation => ({
  ...of,
  attributes: {
    ...of.attributes,
    'whodunit.requester.basis': basis,
    'whodunit.requester.command_line': command,
    ...(reason === undefined ? {} : { 'whodunit.systemd.reason': reason }),
  },
});

const systemdCases: readonly Case[] = [
  {
    name: 'systemctl stop',
    id: 'systemd-stop',
    deaths: [
      {
        ...asked(killed('SIGTERM'), 'target', /^systemctl stop victim\.service$/, ['stop']),
        resource: service,
        body: /sent by systemd .*: asked for by `systemctl stop victim\.service` \(root\)/,
      },
    ],
  },
  {
    name: 'systemctl stop by a user through sudo',
    id: 'systemd-stop-through-sudo',
    deaths: [
      {
        ...asked(killed('SIGTERM'), 'target', /^systemctl stop victim\.service$/, ['stop']),
        resource: service,
        body: /: asked for by `systemctl stop victim\.service` \(nobody\) ← nsenter ← sudo ← /,
      },
    ],
  },
  {
    name: 'systemd ends a service after RuntimeMaxSec, while another user is denied to stop it',
    id: 'systemd-timeout-beside-denied',
    deaths: [
      {
        ...killed('SIGTERM'),
        attributes: {
          ...killed('SIGTERM').attributes,
          'whodunit.requester.basis': null,
          'whodunit.systemd.reason': ['stop', 'start_timeout'],
        },
        resource: service,
        body: /: its unit was stopped, or its unit ran out of time to start or to run/,
      },
    ],
  },
  {
    name: 'systemctl stop, and the service handles SIGTERM and exits with code 3',
    id: 'systemd-stop-handled',
    deaths: [{ ...exitAfterSignal(3, 'SIGTERM', 15), resource: service }],
  },
  {
    name: 'systemctl stop, and the service ignores SIGTERM until TimeoutStopSec expires',
    id: 'systemd-stop-ignored',
    deaths: [
      {
        ...killedAfterSigterm(/SIGTERM from systemd \(pid \d+\) was ignored/),
        resource: service,
        body: /: it had not stopped 1\.\d+ s after systemd asked it to \(TimeoutStopSec\), asked for by `systemctl stop/,
      },
    ],
  },
  {
    name: 'systemctl kill',
    id: 'systemd-kill',
    deaths: [
      {
        ...asked(killed('SIGKILL'), 'target', /^systemctl kill --signal=KILL victim\.service$/, ['kill']),
        resource: service,
        body: /: asked for by `systemctl kill --signal=KILL victim\.service`/,
      },
    ],
  },
  {
    name: 'a service hits its MemoryMax',
    id: 'systemd-out-of-memory',
    deaths: [{ ...outOfMemoryIn(/\/system\.slice\/victim\.service$/), resource: service }],
  },
  {
    name: "systemd's watchdog aborts a service that does not report",
    id: 'systemd-watchdog',
    deaths: [{ ...killed('SIGABRT'), resource: service, body: /: systemd got no keep-alive in time \(WatchdogSec\)/ }],
  },
];

const containerCases: readonly Case[] = [
  { name: 'process 1 of a container exits with code 3', id: 'container-exit', deaths: [exit(3)] },
  {
    name: 'a container hits its memory limit',
    id: 'container-out-of-memory',
    deaths: [outOfMemoryIn(/^\/docker\/[0-9a-f]{64}$/)],
  },
  {
    name: 'process 1 of a container exits, and the kernel kills the other processes in it',
    id: 'container-init-exits',
    deaths: [kernel('namespace_exit', 'SIGKILL'), exit(3)],
  },
  {
    name: 'a process in a container kills another process in the same container',
    id: 'container-killed-inside',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'docker kill',
    id: 'docker-kill',
    deaths: [
      {
        ...killed('SIGKILL'),
        attributes: { 'whodunit.sender.container.id': null },
        body: /sent by runc \(pid \d+, root\) ← containerd-shim/,
      },
    ],
  },
  {
    name: 'docker stop by a script, with the name of the container',
    id: 'docker-stop-by-script',
    deaths: [
      {
        ...asked(exitAfterSignal(3, 'SIGTERM', 15), 'time', /^\S+docker --host unix:\S+ stop whodunit-deaths$/),
        body: /: probably asked for by `docker --host unix:\S+ stop whodunit-deaths` \(root\) ← deploy\.sh ← /,
      },
    ],
  },
  {
    name: 'docker stop, and process 1 handles SIGTERM and exits with code 3',
    id: 'docker-stop-handled',
    deaths: [exitAfterSignal(3, 'SIGTERM', 15)],
  },
  {
    name: 'docker stop, and a Go program as process 1 raises SIGTERM again, without effect, and exits with code 2',
    id: 'docker-stop-raised-again',
    deaths: [exitAfterSignal(2, 'SIGTERM', 15)],
  },
  {
    name: 'docker stop, and the init of docker run --init forwards SIGTERM to the program',
    id: 'docker-stop-init',
    deaths: [killed('SIGTERM'), exitAfterSignal(143, 'SIGTERM', 15)],
  },
  {
    name: 'docker stop, and process 1 ignores SIGTERM',
    id: 'docker-stop-ignored',
    deaths: [killedAfterSigterm(/SIGTERM from runc \(pid \d+\) was ignored, \d\.\d+ s before/)],
  },
  {
    name: 'docker stop, and process 1 has no handler for SIGTERM: the kernel drops the signal to an init',
    id: 'docker-stop-no-handler',
    deaths: [
      killedAfterSigterm(/SIGTERM from runc \(pid \d+\) was ignored: the process is the init of a pid namespace/),
    ],
  },
];

export const worldCases: readonly Case[] = [...languageCases, ...programCases, ...systemdCases, ...containerCases];
