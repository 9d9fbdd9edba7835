// SPDX-License-Identifier: Apache-2.0
// A process that another one, or the process itself, sends a signal to: the record names who made the call.
import type { Case } from './case.ts';
import { abort, exit, killed, selfSignal, unknown } from './expect.ts';

/** What looks like a fault, or like a word of the kernel, and is none. */
const mereSignal = (signal: string) => ({
  ...killed(signal),
  attributes: { 'whodunit.fault.address': null, 'exception.type': null, 'whodunit.signal.disposition': 'default' },
});
const withCode = (signal: string, code: string) => ({
  ...killed(signal),
  attributes: { 'whodunit.signal.code': code },
});
const underTracer = { 'whodunit.evidence': /a tracer was attached/ };

/** As containerID in undertaker/cgroups.go. */
const CONTAINER = '4c01db0b339c4f9c8b4a5d5f8f3f3c7a0d6a9a1ec4b9c9c4f0b4f7d5a1c2e3f4';

export const senderCases: readonly Case[] = [
  { name: 'a process aborts', id: 'abort', deaths: [abort] },
  { name: 'a process aborts and may leave a core', id: 'abort-with-core', deaths: [abort] },
  { name: 'a process sends SIGUSR1 to itself', id: 'raise-sigusr1', deaths: [selfSignal('SIGUSR1')] },
  {
    name: 'a thread sends SIGUSR2 to the first thread of its process',
    id: 'raise-in-thread',
    deaths: [selfSignal('SIGUSR2')],
  },
  { name: 'another process sends SIGKILL to one with many threads', id: 'sigkill', deaths: [killed('SIGKILL')] },
  { name: 'another process sends SIGTERM', id: 'sigterm', deaths: [killed('SIGTERM')] },
  { name: 'another process sends SIGSEGV, which is no fault', id: 'sigsegv', deaths: [mereSignal('SIGSEGV')] },
  { name: 'another process sends SIGQUIT', id: 'sigquit', deaths: [killed('SIGQUIT')] },
  { name: 'another process sends SIGINT', id: 'sigint', deaths: [killed('SIGINT')] },
  { name: 'another process sends SIGHUP, which is no hangup', id: 'sighup', deaths: [killed('SIGHUP')] },
  { name: 'another process sends SIGABRT, which is no abort', id: 'sigabrt', deaths: [mereSignal('SIGABRT')] },
  { name: 'another process sends SIGPIPE, which is no broken pipe', id: 'sigpipe', deaths: [killed('SIGPIPE')] },
  { name: 'another process sends SIGALRM, which is no timer', id: 'sigalrm', deaths: [killed('SIGALRM')] },
  { name: 'another process sends SIGXCPU, which is no limit', id: 'sigxcpu', deaths: [killed('SIGXCPU')] },
  { name: 'another process sends SIGXFSZ, which is no limit', id: 'sigxfsz', deaths: [killed('SIGXFSZ')] },
  { name: 'another process sends SIGSYS, which is no seccomp', id: 'sigsys', deaths: [mereSignal('SIGSYS')] },
  { name: 'another process sends SIGTRAP, which is no fault', id: 'sigtrap', deaths: [mereSignal('SIGTRAP')] },
  { name: 'another process sends a real-time signal', id: 'real-time-signal', deaths: [killed('SIGRTMIN+2')] },
  {
    name: 'SIGTERM ends 64 threads at once, which is one termination',
    id: 'many-threads-sigterm',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'a thread executes another program, which is then killed',
    id: 'exec-then-killed',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'another process kills one whose first thread exited long before',
    id: 'leader-gone',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'a process is stopped by one process and then killed by another',
    id: 'stopped',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'two processes send SIGTERM to one that blocks it for a while: the first sender counts',
    id: 'first-of-two-senders',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'another process sends SIGTERM to one that blocks it, and is gone when it is delivered',
    id: 'blocked-and-sender-gone',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'another process sends SIGQUIT to one that blocks it, and is gone when it is delivered',
    id: 'blocked-and-dumping',
    deaths: [killed('SIGQUIT')],
  },
  {
    name: 'SIGKILL from one process comes too late: SIGTERM from another has killed the victim',
    id: 'too-late-to-kill',
    deaths: [{ ...killed('SIGTERM'), attributes: underTracer }],
  },
  {
    name: 'SIGTERM from one process comes too late: SIGTERM from another has killed the victim',
    id: 'too-late-to-terminate',
    deaths: [{ ...killed('SIGTERM'), attributes: underTracer }],
  },
  {
    name: 'a signal is sent to a zombie, which had exited with code 3',
    id: 'zombie-signalled',
    deaths: [exit(3)],
  },
  {
    name: 'SIGKILL ends a process that writes its core after a fault',
    id: 'dump-interrupted',
    deaths: [
      { ...killed('SIGKILL'), attributes: { 'whodunit.evidence': /came first; SIGKILL interrupted the core dump/ } },
    ],
  },
  {
    name: 'another process sends SIGTERM to one thread with tgkill',
    id: 'tgkill',
    deaths: [withCode('SIGTERM', 'SI_TKILL')],
  },
  {
    name: 'another process sends SIGTERM to one thread with pthread_sigqueue',
    id: 'tgsigqueue',
    deaths: [withCode('SIGTERM', 'SI_QUEUE')],
  },
  { name: 'another process sends SIGKILL through a pidfd', id: 'pidfd', deaths: [killed('SIGKILL')] },
  {
    name: 'another process sends SIGTERM with sigqueue',
    id: 'sigqueue',
    deaths: [withCode('SIGTERM', 'SI_QUEUE')],
  },
  { name: "an ordinary user kills that user's own process", id: 'sigkill-by-nobody', deaths: [killed('SIGKILL')] },
  {
    name: 'a setuid program of root, started by an ordinary user, kills',
    id: 'sigkill-by-setuid',
    deaths: [killed('SIGKILL')],
  },
  { name: 'the parent kills its child', id: 'sigkill-by-parent', deaths: [killed('SIGKILL')] },
  { name: 'a child kills its parent', id: 'sigkill-by-child', deaths: [killed('SIGKILL')] },
  {
    name: 'the sender is the last of a long chain of processes',
    id: 'line-of-senders',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'the sender exits before its /proc entry can be read',
    id: 'sender-gone',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'a signal to a process group kills all of it',
    id: 'process-group',
    deaths: [killed('SIGTERM'), killed('SIGTERM')],
  },
  {
    name: 'a process sends SIGTERM to its own process group',
    id: 'own-group',
    deaths: [selfSignal('SIGTERM'), killed('SIGTERM')],
  },
  { name: 'another process writes to cgroup.kill', id: 'cgroup-kill', deaths: [killed('SIGKILL')] },
  {
    name: 'the victim is in a cgroup as Docker makes them with systemd',
    id: 'in-container',
    deaths: [{ ...killed('SIGKILL'), resource: { 'container.id': CONTAINER, 'k8s.pod.uid': null } }],
  },
  {
    name: 'the victim is in a cgroup as kubelet and containerd make them with systemd',
    id: 'in-pod',
    deaths: [
      {
        ...killed('SIGKILL'),
        resource: { 'container.id': CONTAINER, 'k8s.pod.uid': '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9' },
      },
    ],
  },
  {
    name: 'the victim is in a cgroup as systemd makes them for a service',
    id: 'in-unit',
    deaths: [
      {
        ...killed('SIGKILL'),
        resource: { 'container.id': null, 'service.name': 'checkout', 'whodunit.systemd.unit': 'checkout.service' },
      },
    ],
  },
  { name: 'sender and victim are in a pid namespace', id: 'pid-namespace', deaths: [killed('SIGTERM')] },
  {
    name: 'a process in a pid namespace sends SIGTERM to every process there',
    id: 'everyone-in-pid-namespace',
    deaths: [killed('SIGTERM'), killed('SIGTERM')],
  },
  {
    name: 'a child of the init of a pid namespace cannot kill it, and a process outside can',
    id: 'init-attacked',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'a tracer passes on a SIGTERM that another process sent',
    id: 'killed-while-traced',
    deaths: [{ ...killed('SIGTERM'), attributes: underTracer }],
  },
  {
    name: 'another process sends SIGKILL to a traced process',
    id: 'sigkill-while-traced',
    deaths: [{ ...killed('SIGKILL'), attributes: underTracer }],
  },
  {
    name: 'a tracer turns the SIGUSR1 of another process into SIGTERM: no sender is named',
    id: 'tracer-injects',
    deaths: [{ ...unknown('SIGTERM'), attributes: underTracer }],
  },
  {
    name: 'a tracer suppresses the SIGTERM of another process, and later injects its own: no sender is named',
    id: 'tracer-swallows',
    deaths: [{ ...unknown('SIGTERM'), attributes: underTracer }],
  },
  {
    name: 'a tracer kills with PTRACE_KILL',
    id: 'tracer-kills',
    deaths: [{ ...killed('SIGKILL'), attributes: underTracer }],
  },
];
