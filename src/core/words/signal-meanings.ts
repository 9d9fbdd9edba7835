// SPDX-License-Identifier: Apache-2.0
// The meaning of a termination by each signal, in one clause: only data, after signal(7). The names are in core/verdict/signals.ts.

export const SIGNAL_SOURCE = 'signal(7); kernel/signal.c';

/** By number, x86 and arm64. */
export const SIGNAL_MEANINGS: Readonly<Record<number, string>> = {
  1: 'its terminal was closed, or it was asked to reload and does not handle the signal',
  2: 'Ctrl-C was typed, or it was asked to stop',
  3: 'Ctrl-\\ was typed: terminate with a core dump',
  4: 'an illegal instruction: the wrong architecture, a corrupt binary, or a compiler trap (__builtin_trap)',
  5: 'a breakpoint or trap without a debugger, or a runtime that detected a fatal error',
  6: 'it aborted itself: a failed assertion, a corrupt heap, an uncaught C++ exception',
  7: 'mapped memory could not be accessed: a mapped file was truncated, a disk or memory failed, or an access was not aligned',
  8: 'an arithmetic error, nearly always an integer division by zero',
  9: 'killed without a chance to clean up: by the out-of-memory killer, by an orchestrator after its grace period, or by a person',
  10: 'a user-defined signal that it did not handle',
  11: 'an access to memory that is not mapped, or not for this kind of access: a null or dangling pointer, or a stack overflow',
  12: 'a user-defined signal that it did not handle',
  13: 'it wrote to a pipe or socket without a reader',
  14: 'the timer of alarm(2) expired, and it did not handle the signal',
  15: 'it was asked to stop, by a service manager, an orchestrator or kill(1)',
  16: 'a coprocessor stack fault: not used today',
  17: 'a child process stopped or terminated: ignored by default',
  18: 'continues a stopped process: does not terminate it',
  19: 'stops it until SIGCONT: does not terminate it',
  20: 'Ctrl-Z was typed: stops it, does not terminate it',
  21: 'it read from the terminal in the background: stops it, does not terminate it',
  22: 'it wrote to the terminal in the background: stops it, does not terminate it',
  23: 'urgent data on a socket: ignored by default',
  24: 'it reached its CPU time limit (RLIMIT_CPU, RLIMIT_RTTIME)',
  25: 'a file would have grown beyond its limit (RLIMIT_FSIZE)',
  26: 'its user-mode CPU time timer expired (ITIMER_VIRTUAL)',
  27: 'its CPU time timer expired (ITIMER_PROF), and no profiler handled the signal',
  28: 'the terminal window was resized: ignored by default',
  29: 'a file descriptor became ready (O_ASYNC), and it did not handle the signal',
  30: 'a power failure',
  31: 'a system call that is not allowed (seccomp) or does not exist',
};
/** From SIGRTMIN on. */
export const REALTIME_MEANING = 'a real-time signal that it did not handle';
