// SPDX-License-Identifier: Apache-2.0
// What a termination by each signal means, in one clause: only data, after signal(7). Names are left to core/verdict/signals.ts.

export const SIGNAL_SOURCE = 'signal(7); kernel/signal.c';

/** By number, x86 and arm64. */
export const SIGNAL_MEANINGS: Readonly<Record<number, string>> = {
  1: 'its terminal went away, or somebody asked it to reload and it did not handle that',
  2: 'Ctrl-C was typed, or somebody asked it to stop',
  3: 'Ctrl-\\ was typed: stop, and write a core',
  4: 'the processor met an instruction that it does not have: a wrong architecture, a corrupt binary, or a trap of the compiler (__builtin_trap)',
  5: 'a breakpoint or trap: a debugger is missing, or a runtime found that it must not go on',
  6: 'it aborted itself: a failed assertion, a corrupt heap, an uncaught C++ exception',
  7: 'memory that is mapped but not there: a mapped file became shorter, a disk or memory failed, or an access was not aligned',
  8: 'arithmetic without a result, nearly always an integer division by zero',
  9: 'killed without a chance to clean up: by the out-of-memory killer, an orchestrator whose patience ended, or a person',
  10: 'a signal for the program to define, which it did not handle',
  11: 'memory that is not mapped, or not for this kind of access: a null or dangling pointer, or a stack that overflowed',
  12: 'a signal for the program to define, which it did not handle',
  13: 'it wrote into a pipe or socket that nobody read any more',
  14: 'the time of alarm(2) ran out and it did not handle that',
  15: 'somebody asked it to stop: a service manager, an orchestrator, kill(1)',
  16: 'a fault of a coprocessor: not used today',
  17: 'a child changed its state: ignored by default, it ends nothing',
  18: 'go on: it ends nothing',
  19: 'stop for now: it ends nothing',
  20: 'Ctrl-Z was typed: it ends nothing',
  21: 'a read from the terminal in the background: it stops and ends nothing',
  22: 'a write to the terminal in the background: it stops and ends nothing',
  23: 'urgent data on a socket: ignored by default, it ends nothing',
  24: 'it used up its limit of processor time (RLIMIT_CPU, RLIMIT_RTTIME)',
  25: 'a file would have grown beyond its limit (RLIMIT_FSIZE)',
  26: 'its timer of processor time in user mode ran out (ITIMER_VIRTUAL)',
  27: 'its timer of processor time ran out (ITIMER_PROF): a profiler that was not installed',
  28: 'the window changed its size: ignored by default, it ends nothing',
  29: 'a file descriptor became ready (O_ASYNC) and it did not handle that',
  30: 'the power is failing',
  31: 'a system call that is not allowed (seccomp) or does not exist',
};
/** Numbers from SIGRTMIN on. */
export const REALTIME_MEANING = 'a real-time signal for the program to define, which it did not handle';
