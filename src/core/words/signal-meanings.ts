// SPDX-License-Identifier: Apache-2.0
// The meaning of a termination by each signal, in clauses: only data, after signal(7). Sentences, records and `whodunit explain` use them, so
// that all say the same. The names are in core/verdict/signals.ts.
import type { Cause } from '../verdict/verdict.ts';

export const SIGNAL_SOURCE = 'signal(7); kernel/signal.c';

/** By cause; `otherwise`: for all other causes. */
type Clauses = Readonly<Partial<Record<Cause | 'otherwise', string>>>;

const ASKED_TO_RELOAD = 'it was asked to reload or to stop';
const ASKED_TO_ABORT = 'a watchdog or a person asked it to abort';
const CPU_LIMIT = 'it reached its CPU time limit (RLIMIT_CPU, RLIMIT_RTTIME)';

/** By number, x86 and arm64. */
const CLAUSES: Readonly<Record<number, Clauses>> = {
  1: {
    hangup: 'its terminal was closed',
    namespace_exit: 'its container was restarted (reboot(2))',
    exit: ASKED_TO_RELOAD,
    graceful_stop: ASKED_TO_RELOAD,
    otherwise: 'it was asked to reload and does not handle the signal',
  },
  2: {
    terminal: 'Ctrl-C was typed',
    namespace_exit: 'its container was turned off (reboot(2))',
    otherwise: 'it was asked to stop',
  },
  3: {
    terminal: 'Ctrl-\\ was typed',
    graceful_stop: 'it was asked to stop',
    otherwise: 'it was asked to terminate with a core dump',
  },
  4: {
    otherwise: 'an illegal instruction: the wrong architecture, a corrupt binary, or a compiler trap (__builtin_trap)',
  },
  5: { otherwise: 'a breakpoint or trap without a debugger, or a runtime that detected a fatal error' },
  6: {
    otherwise: 'it aborted itself: a failed assertion, a corrupt heap, an uncaught C++ exception',
    killed: ASKED_TO_ABORT,
    exit: ASKED_TO_ABORT,
    graceful_stop: ASKED_TO_ABORT,
  },
  7: {
    otherwise:
      'mapped memory could not be accessed: a mapped file was truncated, a disk or memory failed, or an access was not aligned',
  },
  8: { otherwise: 'an arithmetic error, nearly always an integer division by zero' },
  9: {
    oom_kill: 'it was killed by the out-of-memory killer',
    namespace_exit: 'the init of its pid namespace terminated',
    resource_limit: CPU_LIMIT,
    otherwise: 'it was killed without a chance to clean up, by an orchestrator after its grace period, or by a person',
  },
  10: { otherwise: 'a user-defined signal that it did not handle' },
  11: {
    otherwise:
      'an access to memory that is not mapped, or not for this kind of access: a null or dangling pointer, or a stack overflow',
  },
  12: { otherwise: 'a user-defined signal that it did not handle' },
  13: { broken_pipe: 'it wrote to a pipe or socket without a reader' },
  14: { timer: 'a timer that it had set expired' },
  15: { otherwise: 'it was asked to stop, by a service manager, an orchestrator or kill(1)' },
  16: { otherwise: 'a coprocessor stack fault: not used today' },
  17: { otherwise: 'a child process stopped or terminated: ignored by default' },
  18: { otherwise: 'continues a stopped process: does not terminate it' },
  19: { otherwise: 'stops it until SIGCONT: does not terminate it' },
  20: { otherwise: 'Ctrl-Z was typed: stops it, does not terminate it' },
  21: { otherwise: 'it read from the terminal in the background: stops it, does not terminate it' },
  22: { otherwise: 'it wrote to the terminal in the background: stops it, does not terminate it' },
  23: { otherwise: 'urgent data on a socket: ignored by default' },
  24: { resource_limit: CPU_LIMIT },
  25: { resource_limit: 'a file would have grown beyond its limit (RLIMIT_FSIZE)' },
  26: { timer: 'its user-mode CPU time timer expired (ITIMER_VIRTUAL)' },
  27: { timer: 'its CPU time timer expired (ITIMER_PROF), and no profiler handled the signal' },
  28: { otherwise: 'the terminal window was resized: ignored by default' },
  29: { otherwise: 'a file descriptor became ready (O_ASYNC), and it did not handle the signal' },
  30: { otherwise: 'a power failure' },
  31: { otherwise: 'a system call that is not allowed (seccomp) or does not exist' },
};

/** All that a signal can mean, by number. */
export const SIGNAL_MEANINGS: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(CLAUSES).map(([signo, clauses]) => [signo, [...new Set(Object.values(clauses))].join('; or ')]),
);
/** From SIGRTMIN on. */
export const REALTIME_MEANING = 'a real-time signal that it did not handle';

/** Whatever the signal is. */
const BY_CAUSE: Clauses = {
  hangup: 'its terminal was closed',
  timer: 'a timer that it had set expired',
  namespace_exit: 'the init of its pid namespace terminated',
};

/** What a signal meant that had this cause. null: nothing that the cause does not say. */
export function signalClause(signo: number, cause: Cause): string | null {
  return CLAUSES[signo]?.[cause] ?? BY_CAUSE[cause] ?? null;
}

/** Of these causes, the signal's number says nothing: the kernel or the process chose it for a reason of its own. */
const ANY_SIGNAL: ReadonlySet<Cause> = new Set(['kernel', 'self_signal', 'parent_death', 'namespace_exit']);

/** The same; without a clause for the cause, the clause for all others. null: neither says anything. */
export function signalMeaningOf(signo: number, cause: Cause): string | null {
  return signalClause(signo, cause) ?? (ANY_SIGNAL.has(cause) ? null : (CLAUSES[signo]?.otherwise ?? null));
}
