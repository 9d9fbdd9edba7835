// SPDX-License-Identifier: Apache-2.0
// What the probes of old kernels (bpf/old.bpf.c) do not report. A limit explains a missing value, never a wrong one.
export interface OldLimit {
  readonly reason: string;
  /** Whether the limit explains a difference (the text of compare.ts). */
  readonly allows: (difference: string) => boolean;
  /** Only in these cases; undefined: in all cases. */
  readonly cases?: readonly string[];
}

export const OLD_LIMITS: readonly OldLimit[] = [
  {
    reason: 'the probes of old kernels do not read registers: the faulting instruction is missing',
    allows: (difference) => difference.startsWith('whodunit.fault.instruction_pointer: the record says nothing,'),
  },
  {
    reason: 'the probes of old kernels do not keep stops of processes',
    allows: (difference) =>
      /^whodunit\.stop\.[\w.]+: the record says nothing,/.test(difference) ||
      // The sentence and the evidence that the case wants have the stop in addition.
      /^body: the record says "[^"]*", the case \/.*; it had been stopped for /.test(difference) ||
      /^whodunit\.evidence: the record says \[.*came while it was stopped,.*the case .*continued/.test(difference),
  },
  {
    reason: 'the probes of old kernels do not read the sizes and the limit of an out-of-memory kill',
    allows: (difference) => /^whodunit\.oom\.\w+: the record says nothing,/.test(difference),
  },
  {
    reason: 'the probes of old kernels do not know a program whose exec failed late',
    cases: ['broken-program'],
    allows: (difference) => /^process\.executable\.(path|name): the record says nothing,/.test(difference),
  },
];
