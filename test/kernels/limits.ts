// SPDX-License-Identifier: Apache-2.0
// What some kernels, and emulation, cannot show. A limit depends on what the machine offers and reports, never on its version. It may only
// explain a missing or unknown value, never a wrong name. docs/kernels.md lists the limits.
import { CLASSIC_LIMITS } from '../deaths/classic-limits.ts';
import { OBSERVED_LIMITS } from '../deaths/observed-limits.ts';
import { OLD_LIMITS } from '../deaths/old-limits.ts';
import type { Transcript } from './transcript.ts';

export interface Limit {
  readonly reason: string;
  readonly applies: (transcript: Transcript) => boolean;
  /** Whether the limit explains a difference (the text of compare.ts). */
  readonly allows?: (difference: string) => boolean;
  /** Only in these cases; undefined: in all cases. */
  readonly cases?: readonly string[];
  /** The error of a case that cannot run there at all. */
  readonly cannotHappen?: RegExp;
}

/**
 * The maximum error of a counter of the pages of a process: 32 pages for each of two processors (percpu_counter_batch), and before
 * Linux 6.2 64 pages for each thread (TASK_RSS_EVENTS_THRESH), of which a Go program has about five.
 */
const COUNTER_SLACK_BYTES = 5 * 64 * 4096;

/** Whether nothing shows the memory of a process that exits. */
const lacksMemory = ({ hello }: Transcript): boolean =>
  hello?.probes.some(({ name, attached }) => name === 'exit_mm_release' && !attached) ?? false;

/** Whether the record has the arguments up to somewhere in the last one that it has. */
function isCutOff(difference: string): boolean {
  const [, found, truth] =
    /^process\.command_args: the record says (\[.*\]), its parent (\[.*\])$/.exec(difference) ?? [];
  if (found === undefined || truth === undefined) return false;
  const [known, all] = [JSON.parse(found) as string[], JSON.parse(truth) as string[]];
  return all.join('\0').startsWith(known.join('\0'));
}

/** Whether the probes of old kernels are attached: the others have no program there. */
export const hasOldProbes = ({ hello }: Transcript): boolean =>
  hello?.probes.some(({ name }) => name === 'sched_process_fork') ?? false;

/** Whether those are attached that need no raw tracepoints: they are three. */
export const hasClassicProbes = ({ hello }: Transcript): boolean => hello?.probes.length === 3;

/** Whether the loader found the kernel's types by observation. */
export function isObserved(transcript: Transcript | null): boolean {
  return transcript?.check.includes('types found by observation') ?? false;
}

/**
 * Whether the kernel may skip the probe of an exit, which is counted. Since Linux 7.x it may preempt a probe, and what prevents the miss needs its
 * own types (docs/kernel-facts.md, section 6). Kernels before 6.16 have the probe exit_mm_release.
 */
export const maySkipExits = (transcript: Transcript | null): boolean =>
  isObserved(transcript) && !(transcript?.hello?.probes.some(({ name }) => name === 'exit_mm_release') ?? true);

/** The difference of a process whose exit the kernel skipped. kernels.test.ts compares their number with what is counted. */
export const NO_RECORD = /^process \d+ has 0 records instead of 1/;

const LIMITS: readonly Limit[] = [
  ...CLASSIC_LIMITS.map((limit) => ({ ...limit, applies: hasClassicProbes })),
  ...OLD_LIMITS.map((limit) => ({ ...limit, applies: hasOldProbes })),
  {
    reason: 'the kernel skipped the probe of an exit, which is counted (`lost.missed`): there is no record',
    applies: (transcript) => maySkipExits(transcript) && (transcript.status?.lost.missed ?? 0n) > 0n,
    allows: (difference) => NO_RECORD.test(difference),
  },
  {
    reason: 'emulation is too slow for a process lifetime of less than a millisecond',
    applies: () => true,
    cannotHappen: /processes ran for less than 1ms/,
  },
  {
    reason: 'there is no `cgroup.kill`, which came with Linux 5.14',
    applies: () => true,
    cannotHappen: /cgroup\.kill: (permission denied|no such file or directory)/,
  },
  {
    reason:
      'PTRACE_KILL resumes the tracee with SIGKILL, and generates no signal, before Linux 5.19 and what took that over: who killed it is unknown',
    applies: (transcript) => hasOldProbes(transcript) || hasClassicProbes(transcript),
    cases: ['tracer-kills'],
    allows: (difference) =>
      /^whodunit\.(cause|sender\.kind): the record says "unknown"/.test(difference) ||
      /^whodunit\.sender\.[\w.]+: the record says nothing,/.test(difference),
  },
  {
    reason:
      'a process that seccomp kills is not marked (SECCOMP_MODE_DEAD came with Linux 5.16, and what took that over): in strict mode, the cause is unknown',
    applies: (transcript) => hasOldProbes(transcript) || hasClassicProbes(transcript),
    cases: ['seccomp-strict'],
    allows: (difference) => difference === 'whodunit.cause: the record says "unknown", the case "seccomp"',
  },
  {
    reason: 'before Linux 4.9, a victim of the out-of-memory killer is not marked (`oom_mm`): the cause is unknown',
    applies: hasClassicProbes,
    cases: ['out-of-memory'],
    allows: (difference) => difference === 'error.type: the record says "SIGKILL", the case "oom_kill"',
  },
  {
    reason: 'nothing says that a process dumps core (`CoreDumping`), before Linux 4.15',
    applies: () => true,
    cannotHappen: /no CoreDumping/,
  },
  {
    reason: 'there is no `memory.oom.group`, which came with Linux 4.19',
    applies: () => true,
    cannotHappen: /memory\.oom\.group: (permission denied|no such file or directory)/,
  },
  {
    reason: 'there is no `pidfd_open()`, which came with Linux 5.3',
    applies: () => true,
    cannotHappen: /the killer: "pidfd .*function not implemented/,
  },
  {
    reason: 'the number of the next process cannot be chosen (`ns_last_pid`)',
    applies: () => true,
    cannotHappen: /ns_last_pid: no such file or directory/,
  },
  {
    reason: 'the kernel has no memory controller',
    applies: () => true,
    cannotHappen: /the memory controller of \S+ cannot be enabled: .*: invalid argument/,
  },
  {
    reason: 'the kernel has no pressure stall information',
    applies: () => true,
    cannotHappen: /\/proc\/pressure\/cpu: no such file or directory/,
  },
  {
    reason:
      'the registers of a task cannot be read (`bpf_task_pt_regs` came with Linux 5.15): the faulting instruction is missing',
    applies: ({ check }) => /registers of a task +not readable/.test(check),
    allows: (difference) => difference.startsWith('whodunit.fault.instruction_pointer: the record says nothing,'),
  },
  {
    reason:
      'before Linux 5.16 a seccomp filter kills without sending a signal: the system call is missing, and the sender may be unknown',
    applies: ({ check }) => /registers of a task +not readable/.test(check),
    allows: (difference) =>
      difference.startsWith('whodunit.fault.syscall: the record says nothing,') ||
      difference === 'whodunit.sender.kind: the record says "unknown", the case "kernel"',
  },
  {
    reason:
      'the probe that reads executable and arguments (before Linux 6.16) is skipped when it interrupts itself on a processor',
    applies: ({ hello }) => hello?.probes.some(({ name, attached }) => name === 'exit_mm_release' && attached) ?? false,
    cases: ['exit-race', 'many-threads-exit', 'many-threads-sigterm'],
    allows: (difference) =>
      /^process\.(executable\.(path|name)|command|command_args|args_count): the record says nothing,/.test(difference),
  },
  {
    reason:
      'before Linux 6.16 without fentry, arguments are those that a process executed: one that only forked has none',
    applies: lacksMemory,
    allows: (difference) =>
      /^process\.(command|command_args|args_count): the record says nothing, its parent (2$|\[?"\/undertaker")/.test(
        difference,
      ),
  },
  {
    reason: 'before Linux 6.16 without fentry, arguments are cut after 256 bytes',
    applies: lacksMemory,
    cases: ['long-arguments'],
    allows: (difference) =>
      isCutOff(difference) || difference.startsWith('process.args_count: the record says nothing,'),
  },
  {
    reason:
      'memory counters are per processor, or before Linux 6.2 per thread: the OOM sizes are off by up to 64 pages for each',
    applies: () => true,
    allows: (difference) => {
      const match = /^whodunit\.oom\.\w+_rss: the record says (\d+), the kernel log (\d+)/.exec(difference);
      return match !== null && Math.abs(Number(match[1]) - Number(match[2])) <= COUNTER_SLACK_BYTES;
    },
  },
  ...OBSERVED_LIMITS.map((limit) => ({ ...limit, applies: isObserved })),
];

export function limitsOf(transcript: Transcript): readonly Limit[] {
  return LIMITS.filter(({ applies }) => applies(transcript));
}
