// SPDX-License-Identifier: Apache-2.0
// What the probes of kernels without raw tracepoints (bpf/classic.bpf.c) do not report. A limit explains a missing value, never a wrong one.
import type { OldLimit } from './old-limits.ts';

/** Exits with code 0 after a request: requests that are handled are not kept. They have no record. */
export const UNREPORTED: readonly string[] = [
  'sigterm-then-exit-0',
  'sigint-then-exit-0',
  'sighup-then-exit-0',
  'sigquit-then-exit-0',
  'sigabrt-then-exit-0',
  'sigterm-queued-then-exit-0',
];

const FROM_THE_COMM = ['script', 'sigkill-by-setuid'];
const RAISED_AGAIN = [
  'sigsegv-handler-raises',
  'sigabrt-handler-raises',
  'sigterm-handler-raises',
  'sigterm-in-go-runtime',
  'fault-handler-raises',
];

export const CLASSIC_LIMITS: readonly OldLimit[] = [
  {
    reason: 'a request that a process handles, and then exits with code 0, is not known: it has no record',
    cases: UNREPORTED,
    allows: (difference) => /^process \d+ has 0 records instead of 1/.test(difference),
  },
  {
    reason:
      'executable, arguments, cgroup, handled signals, stops, addresses, and what the sender executes are not known',
    allows: (difference) => /^[\w.]+: the record says nothing,/.test(difference),
  },
  {
    reason: 'sentence and evidence have less',
    allows: (difference) => /^(body|whodunit\.evidence): /.test(difference),
  },
  {
    reason: 'the task that sent a signal is not always proven',
    allows: (difference) => /^whodunit\.(cause|sender\.kind): the record says "unknown", the case "/.test(difference),
  },
  {
    reason: 'the address of a fault is not known',
    allows: (difference) => /^exception\.message: the record says "(\w+)", the case "\1 at 0x/.test(difference),
  },
  {
    reason: 'an executable is named by the comm of 15 characters',
    cases: FROM_THE_COMM,
    allows: (difference) => /^(process|whodunit\.sender)\.executable\.name: the record says "/.test(difference),
  },
  {
    reason: 'the cgroup is not known, and with it the service',
    cases: ['in-unit'],
    allows: (difference) => difference.startsWith('service.name: the record says "unknown_service:'),
  },
  {
    reason: 'a signal that a process raises again in its handler is its own: the one before is not kept',
    cases: RAISED_AGAIN,
    allows: (difference) =>
      /^whodunit\.(cause: the record says "(self_signal|abort)"|sender\.kind: the record says "self"|signal\.(disposition: the record says "default"|code: the record says "SI_TKILL"))/.test(
        difference,
      ),
  },
  {
    reason: 'of a fault whose handler has no stack, the kernel sends another one',
    cases: ['fault-handler-without-stack'],
    allows: (difference) =>
      /^(whodunit\.signal\.code|exception\.message): the record says "SI_KERNEL"/.test(difference),
  },
];
