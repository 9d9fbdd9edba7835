// SPDX-License-Identifier: Apache-2.0
// A process sends a signal to another process or to itself. The record must name the process that made the call.
import type { Case } from './case.ts';
import { abort, exit, killed, selfSignal, unknown } from './expect.ts';

/** A signal that usually comes from the kernel, sent by a process: the record must have no fault and no exception. */
const signalOnly = (signal: string) => ({
  ...killed(signal),
  attributes: { 'whodunit.fault.address': null, 'exception.type': null, 'whodunit.signal.disposition': 'default' },
});
const withCode = (signal: string, code: string) => ({
  ...killed(signal),
  attributes: { 'whodunit.signal.code': code },
});
const underTracer = { 'whodunit.evidence': /a tracer was attached/ };

/** containerID in undertaker/cgroups.go. */
const CONTAINER = '4c01db0b339c4f9c8b4a5d5f8f3f3c7a0d6a9a1ec4b9c9c4f0b4f7d5a1c2e3f4';

export const senderCases: readonly Case[] = [
  { name: 'a process aborts', id: 'abort', deaths: [abort] },
  { name: 'a process aborts with core dumps enabled', id: 'abort-with-core', deaths: [abort] },
  { name: 'a process sends SIGUSR1 to itself', id: 'raise-sigusr1', deaths: [selfSignal('SIGUSR1')] },
  {
    name: 'a thread sends SIGUSR2 to the first thread of its process',
    id: 'raise-in-thread',
    deaths: [selfSignal('SIGUSR2')],
  },
  { name: 'another process sends SIGKILL to a multithreaded process', id: 'sigkill', deaths: [killed('SIGKILL')] },
  { name: 'another process sends SIGTERM', id: 'sigterm', deaths: [killed('SIGTERM')] },
  { name: 'another process sends SIGSEGV, which is not a fault', id: 'sigsegv', deaths: [signalOnly('SIGSEGV')] },
  { name: 'another process sends SIGQUIT', id: 'sigquit', deaths: [killed('SIGQUIT')] },
  { name: 'another process sends SIGINT', id: 'sigint', deaths: [killed('SIGINT')] },
  { name: 'another process sends SIGHUP, which is not a hangup', id: 'sighup', deaths: [killed('SIGHUP')] },
  { name: 'another process sends SIGABRT, which is not an abort', id: 'sigabrt', deaths: [signalOnly('SIGABRT')] },
  { name: 'another process sends SIGPIPE, which is not a broken pipe', id: 'sigpipe', deaths: [killed('SIGPIPE')] },
  { name: 'another process sends SIGALRM, which is not a timer', id: 'sigalrm', deaths: [killed('SIGALRM')] },
  { name: 'another process sends SIGXCPU, which is not a limit', id: 'sigxcpu', deaths: [killed('SIGXCPU')] },
  { name: 'another process sends SIGXFSZ, which is not a limit', id: 'sigxfsz', deaths: [killed('SIGXFSZ')] },
  { name: 'another process sends SIGSYS, which is not from seccomp', id: 'sigsys', deaths: [signalOnly('SIGSYS')] },
  { name: 'another process sends SIGTRAP, which is not a fault', id: 'sigtrap', deaths: [signalOnly('SIGTRAP')] },
  { name: 'another process sends a real-time signal', id: 'real-time-signal', deaths: [killed('SIGRTMIN+2')] },
  {
    name: 'SIGTERM terminates a process with 64 threads, which is one termination',
    id: 'many-threads-sigterm',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'a thread executes another program, which is then killed',
    id: 'exec-then-killed',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'another process kills a process whose first thread exited long before',
    id: 'leader-gone',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'two processes send SIGTERM while it is blocked: the first sender is reported',
    id: 'first-of-two-senders',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'the sender of a blocked SIGTERM has exited when the signal is delivered',
    id: 'blocked-and-sender-gone',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'the sender of a blocked SIGQUIT has exited when the signal is delivered',
    id: 'blocked-and-dumping',
    deaths: [killed('SIGQUIT')],
  },
  {
    name: 'SIGKILL arrives after SIGTERM from another process has already killed the victim',
    id: 'too-late-to-kill',
    deaths: [{ ...killed('SIGTERM'), attributes: underTracer }],
  },
  {
    name: 'SIGTERM arrives after SIGTERM from another process has already killed the victim',
    id: 'too-late-to-terminate',
    deaths: [{ ...killed('SIGTERM'), attributes: underTracer }],
  },
  {
    name: 'a signal is sent to a zombie that exited with code 3',
    id: 'zombie-signalled',
    deaths: [exit(3)],
  },
  {
    name: 'SIGKILL interrupts the core dump after a fault',
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
  {
    name: 'an unprivileged user kills one of their own processes',
    id: 'sigkill-by-nobody',
    deaths: [killed('SIGKILL')],
  },
  {
    name: 'a setuid-root program, started by an unprivileged user, sends SIGKILL',
    id: 'sigkill-by-setuid',
    deaths: [killed('SIGKILL')],
  },
  { name: 'the parent kills its child', id: 'sigkill-by-parent', deaths: [killed('SIGKILL')] },
  { name: 'a child kills its parent', id: 'sigkill-by-child', deaths: [killed('SIGKILL')] },
  {
    name: 'the sender has more ancestors than a record holds',
    id: 'line-of-senders',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'the sender exits before its /proc entry can be read',
    id: 'sender-gone',
    deaths: [killed('SIGTERM')],
  },
  {
    name: 'a signal to a process group kills every member',
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
    name: 'the cgroup of the victim has the path that Docker uses with systemd',
    id: 'in-container',
    deaths: [{ ...killed('SIGKILL'), resource: { 'container.id': CONTAINER, 'k8s.pod.uid': null } }],
  },
  {
    name: 'the cgroup of the victim has the path that kubelet and containerd use with systemd',
    id: 'in-pod',
    deaths: [
      {
        ...killed('SIGKILL'),
        resource: { 'container.id': CONTAINER, 'k8s.pod.uid': '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9' },
      },
    ],
  },
  {
    name: 'the cgroup of the victim has the path of a systemd service',
    id: 'in-unit',
    deaths: [
      {
        ...killed('SIGKILL'),
        resource: { 'container.id': null, 'service.name': 'checkout', 'whodunit.systemd.unit': 'checkout.service' },
      },
    ],
  },
  { name: 'sender and victim are in the same pid namespace', id: 'pid-namespace', deaths: [killed('SIGTERM')] },
  {
    name: 'a process in a pid namespace sends SIGTERM to every process there',
    id: 'everyone-in-pid-namespace',
    deaths: [killed('SIGTERM'), killed('SIGTERM')],
  },
  {
    name: 'a child cannot kill the init of its pid namespace, but a process outside can',
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
