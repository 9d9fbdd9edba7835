// SPDX-License-Identifier: Apache-2.0
// The rows of docs/kernel-facts.md section 3, and events made to mislead.
import { describe, expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import { REQUEST_GRACE_NS, RERAISE_NS } from '../../../src/core/verdict/origin.ts';
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
} from '../../../src/core/verdict/syscalls.ts';
import type { Verdict } from '../../../src/core/verdict/verdict.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import {
  actor,
  END,
  exitedWith,
  fault,
  itself,
  kernelSignal,
  killedBy,
  noinfoSignal,
  oom,
  signal,
  victim,
} from '../../support/deadly.ts';

const [HUP, INT, QUIT, ILL, TRAP, ABRT, BUS, FPE, KILL, USR1] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const [SEGV, PIPE, ALRM, TERM, XCPU, XFSZ, PROF, IO, SYS] = [11, 13, 14, 15, 24, 25, 27, 29, 31];
const swapper = actor({ pid: 0, tid: 0, comm: 'swapper/1', uid: 0, exe: null, args: null, ancestors: [] });
const kworker = actor({
  pid: 31,
  tid: 31,
  comm: 'kworker/u8:2',
  uid: 0,
  kthread: true,
  exe: null,
  args: null,
  ancestors: [],
});
const exitingTask = actor({ exiting: true });

const [X86_64, I386, ARM64, ARM] = [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM];
const X32_BIT = 0x40000000;

type Expected = readonly [cause: string, errorType: string | null, senderKind: string | null];

const summary = ({ cause, errorType, senderKind }: Verdict): Expected => [cause, errorType, senderKind];

const table: readonly (readonly [name: string, death: Death, expected: Expected])[] = [
  // Another process.
  ['SIGKILL by kill(2)', killedBy(KILL, { signal: signal(KILL) }), ['killed', 'SIGKILL', 'process']],
  [
    'kill(2) without siginfo, as on Linux 7.3',
    killedBy(KILL, { signal: noinfoSignal(KILL, { syscall: 62 }) }),
    ['killed', 'SIGKILL', 'process'],
  ],
  [
    'kill(2) without siginfo on arm64',
    killedBy(TERM, { signal: noinfoSignal(TERM, { syscall: 129, syscall_arch: ARM64 }) }),
    ['killed', 'SIGTERM', 'process'],
  ],
  [
    'tgkill',
    killedBy(TERM, { signal: signal(TERM, { code: -6, syscall: 234, group: false }) }),
    ['killed', 'SIGTERM', 'process'],
  ],
  ['sigqueue', killedBy(TERM, { signal: signal(TERM, { code: -1, syscall: 129 }) }), ['killed', 'SIGTERM', 'process']],
  ['pidfd_send_signal', killedBy(KILL, { signal: signal(KILL, { syscall: 424 }) }), ['killed', 'SIGKILL', 'process']],
  [
    'siginfo where the system call is not known',
    killedBy(KILL, { signal: signal(KILL, { syscall: null, syscall_arch: null }) }),
    ['killed', 'SIGKILL', 'process'],
  ],
  [
    'SIGSEGV by kill(2) is a kill, not a fault',
    killedBy(SEGV, { signal: signal(SEGV) }),
    ['killed', 'SIGSEGV', 'process'],
  ],
  [
    'SIGABRT by another process is a kill, not an abort',
    killedBy(ABRT, { signal: signal(ABRT) }),
    ['killed', 'SIGABRT', 'process'],
  ],
  [
    'SIGPIPE by kill(2) is not a broken pipe',
    killedBy(PIPE, { signal: signal(PIPE) }),
    ['killed', 'SIGPIPE', 'process'],
  ],
  [
    'SIGPIPE by kill(2) without siginfo',
    killedBy(PIPE, { signal: noinfoSignal(PIPE, { syscall: 62 }) }),
    ['killed', 'SIGPIPE', 'process'],
  ],
  ['SIGALRM by kill(2) is not a timer', killedBy(ALRM, { signal: signal(ALRM) }), ['killed', 'SIGALRM', 'process']],
  ['SIGHUP by kill(2) is not a hangup', killedBy(HUP, { signal: signal(HUP) }), ['killed', 'SIGHUP', 'process']],
  ['SIGINT by kill(2) was not typed', killedBy(INT, { signal: signal(INT) }), ['killed', 'SIGINT', 'process']],
  ['SIGXCPU by kill(2) is not a limit', killedBy(XCPU, { signal: signal(XCPU) }), ['killed', 'SIGXCPU', 'process']],
  ['SIGSYS by kill(2) is not seccomp', killedBy(SYS, { signal: signal(SYS) }), ['killed', 'SIGSYS', 'process']],
  [
    'SI_TIMER forged with rt_sigqueueinfo',
    killedBy(USR1, {
      signal: signal(USR1, {
        code: -2,
        syscall: 129,
        kernel_stack: ['do_rt_sigqueueinfo', '__x64_sys_rt_sigqueueinfo'],
      }),
    }),
    ['killed', 'SIGUSR1', 'process'],
  ],
  ['a real-time signal', killedBy(36, { signal: signal(36) }), ['killed', 'SIGRTMIN+2', 'process']],
  [
    'cgroup.kill: the writer is the sender',
    killedBy(KILL, {
      signal: noinfoSignal(KILL, {
        group: false,
        syscall: 1,
        kernel_stack: ['send_signal_locked', 'do_send_sig_info', '__cgroup_kill', 'cgroup_kill_write'],
      }),
    }),
    ['killed', 'SIGKILL', 'process'],
  ],
  [
    'cgroup.kill without its frame',
    killedBy(KILL, { signal: noinfoSignal(KILL, { group: false, syscall: 1 }) }),
    ['killed', 'SIGKILL', 'process'],
  ],
  [
    'a process that another one killed, and that is marked as an OOM victim, too',
    killedBy(KILL, { signal: signal(KILL), oom_victim: true, oom: oom() }),
    ['killed', 'SIGKILL', 'process'],
  ],

  // The process itself.
  [
    'abort()',
    killedBy(ABRT, { signal: signal(ABRT, { code: -6, syscall: 234, group: false, sender: itself() }) }),
    ['abort', 'SIGABRT', 'self'],
  ],
  [
    'kill(getpid(), SIGABRT) without siginfo',
    killedBy(ABRT, { signal: noinfoSignal(ABRT, { syscall: 62, sender: itself() }) }),
    ['abort', 'SIGABRT', 'self'],
  ],
  [
    'raise(SIGUSR1)',
    killedBy(USR1, { signal: signal(USR1, { code: -6, sender: itself() }) }),
    ['self_signal', 'SIGUSR1', 'self'],
  ],
  [
    'a sender with the same pid but another start time is another process',
    killedBy(KILL, { signal: signal(KILL, { sender: itself({ start_boottime_ns: 1n }) }) }),
    ['killed', 'SIGKILL', 'process'],
  ],

  // Faults.
  [
    'a page fault',
    killedBy(SEGV, { signal: signal(SEGV, { code: 1, syscall: null, sender: itself() }), fault: fault(SEGV, 1) }),
    ['fault', 'SIGSEGV', 'kernel'],
  ],
  [
    '#GP (SI_KERNEL, but trap 13) is a fault, not a kill by the kernel',
    killedBy(SEGV, {
      signal: signal(SEGV, { code: 128, syscall: null, sender: itself() }),
      fault: fault(SEGV, 128, { trap_nr: 13, address: null }),
    }),
    ['fault', 'SIGSEGV', 'kernel'],
  ],
  [
    'SIGSEGV forced by the kernel without a trap is not a fault',
    killedBy(SEGV, {
      signal: signal(SEGV, { code: 128, syscall: 59, sender: itself() }),
      fault: fault(SEGV, 128, { trap_nr: 0, address: null }),
    }),
    ['kernel', 'SIGSEGV', 'kernel'],
  ],
  [
    'a fault that the process forged',
    killedBy(SEGV, {
      signal: signal(SEGV, { code: 1, syscall: 129, sender: itself(), kernel_stack: ['do_rt_sigqueueinfo'] }),
      fault: fault(SEGV, 1),
    }),
    ['self_signal', 'SIGSEGV', 'self'],
  ],
  [
    'a forged fault whose delivery was not recorded',
    killedBy(FPE, {
      signal: signal(FPE, { code: 1, syscall: 129, sender: itself(), kernel_stack: ['do_rt_sigqueueinfo'] }),
    }),
    ['self_signal', 'SIGFPE', 'self'],
  ],
  [
    'a seccomp kill that the process forged',
    killedBy(SYS, {
      signal: signal(SYS, { code: 1, syscall: 129, sender: itself(), kernel_stack: ['do_rt_sigqueueinfo'] }),
      fault: fault(SYS, 1),
    }),
    ['self_signal', 'SIGSYS', 'self'],
  ],
  [
    'a fault whose generation was not recorded',
    killedBy(SEGV, { fault: fault(SEGV, 1) }),
    ['fault', 'SIGSEGV', 'kernel'],
  ],
  [
    'a fault whose delivery was not recorded',
    killedBy(FPE, { signal: signal(FPE, { code: 1, syscall: null, sender: itself() }) }),
    ['fault', 'SIGFPE', 'kernel'],
  ],
  ['SIGBUS', killedBy(BUS, { fault: fault(BUS, 2) }), ['fault', 'SIGBUS', 'kernel']],
  ['SIGILL', killedBy(ILL, { fault: fault(ILL, 2) }), ['fault', 'SIGILL', 'kernel']],
  ['SIGTRAP', killedBy(TRAP, { fault: fault(TRAP, 1) }), ['fault', 'SIGTRAP', 'kernel']],
  [
    'a crash handler that raises the signal again',
    killedBy(SEGV, { signal: signal(SEGV, { code: -6, sender: itself() }), handled_fault: fault(SEGV, 1) }),
    ['fault', 'SIGSEGV', 'self'],
  ],
  [
    'a handled fault that is too long ago is not the cause',
    killedBy(SEGV, {
      signal: signal(SEGV, { code: -6, sender: itself() }),
      handled_fault: fault(SEGV, 1, { time_ns: END - RERAISE_NS - 2_000_000n }),
    }),
    ['self_signal', 'SIGSEGV', 'self'],
  ],
  [
    'a fault whose handler could not be run',
    killedBy(SEGV, {
      signal: signal(SEGV, { code: 128, syscall: null, sender: itself() }),
      handled_fault: fault(SEGV, 1, { trap_nr: null }),
      fault: fault(SEGV, 128, { trap_nr: null, address: null }),
    }),
    ['fault', 'SIGSEGV', 'kernel'],
  ],
  [
    'a handler that aborts after a fault',
    killedBy(ABRT, { signal: signal(ABRT, { code: -6, sender: itself() }), handled_fault: fault(SEGV, 1) }),
    ['abort', 'SIGABRT', 'self'],
  ],

  // Out of memory, or not.
  [
    'OOM in a cgroup',
    killedBy(KILL, {
      signal: kernelSignal(KILL, ['oom_kill_process', 'out_of_memory', 'mem_cgroup_out_of_memory']),
      oom_victim: true,
      oom: oom(),
    }),
    ['oom_kill', 'oom_kill', 'kernel'],
  ],
  [
    'OOM without any frame',
    killedBy(KILL, { signal: kernelSignal(KILL), oom_victim: true }),
    ['oom_kill', 'oom_kill', 'kernel'],
  ],
  [
    'OOM whose signal was not recorded',
    killedBy(KILL, { oom_victim: true, oom: oom() }),
    ['oom_kill', 'oom_kill', 'kernel'],
  ],
  [
    'an OOM victim that exits before it is marked, or a process that shares its memory',
    killedBy(KILL, { signal: kernelSignal(KILL, ['do_send_sig_info', '__oom_kill_process']), oom: oom() }),
    ['oom_kill', 'oom_kill', 'kernel'],
  ],
  [
    'SIGKILL from the kernel without OOM is not OOM',
    killedBy(KILL, { signal: kernelSignal(KILL), oom: oom() }),
    ['kernel', 'SIGKILL', 'kernel'],
  ],
  [
    'SIGKILL from an exiting tracer is not OOM',
    killedBy(KILL, { signal: kernelSignal(KILL, ['exit_ptrace', 'exit_notify'], { sender: exitingTask }) }),
    ['kernel', 'SIGKILL', 'kernel'],
  ],

  // Limits.
  [
    'RLIMIT_CPU, soft',
    killedBy(XCPU, { signal: kernelSignal(XCPU, ['posix_cpu_timers_work'], { sender: itself() }) }),
    ['resource_limit', 'SIGXCPU', 'kernel'],
  ],
  [
    'RLIMIT_CPU, soft, without a frame',
    killedBy(XCPU, { signal: kernelSignal(XCPU, [], { sender: itself() }) }),
    ['resource_limit', 'SIGXCPU', 'kernel'],
  ],
  [
    'RLIMIT_CPU, hard',
    killedBy(KILL, { signal: kernelSignal(KILL, ['posix_cpu_timers_work.isra.0'], { sender: itself() }) }),
    ['resource_limit', 'SIGKILL', 'kernel'],
  ],
  [
    'RLIMIT_FSIZE looks like a signal to itself',
    killedBy(XFSZ, { signal: noinfoSignal(XFSZ, { group: false, syscall: 1, sender: itself() }) }),
    ['resource_limit', 'SIGXFSZ', 'kernel'],
  ],

  // Signals from the kernel that look like those of a process.
  [
    'a broken pipe looks like a signal to itself',
    killedBy(PIPE, {
      signal: noinfoSignal(PIPE, { group: false, syscall: 1, sender: itself(), kernel_stack: ['anon_pipe_write'] }),
    }),
    ['broken_pipe', 'SIGPIPE', 'kernel'],
  ],
  [
    'a broken pipe without a known system call',
    killedBy(PIPE, { signal: noinfoSignal(PIPE, { group: false, sender: itself() }) }),
    ['broken_pipe', 'SIGPIPE', 'kernel'],
  ],
  [
    'PR_SET_PDEATHSIG: the exiting parent is not the sender',
    killedBy(TERM, { pdeath_signal: TERM, signal: noinfoSignal(TERM, { syscall: 231, sender: exitingTask }) }),
    ['parent_death', 'SIGTERM', 'kernel'],
  ],
  [
    'an exiting task without PR_SET_PDEATHSIG is not the sender',
    killedBy(TERM, { signal: noinfoSignal(TERM, { syscall: 231, sender: exitingTask }) }),
    ['unknown', 'SIGTERM', 'unknown'],
  ],
  [
    'kill(2) by the parent is a kill, in spite of PR_SET_PDEATHSIG',
    killedBy(TERM, { pdeath_signal: TERM, signal: signal(TERM) }),
    ['killed', 'SIGTERM', 'process'],
  ],
  [
    'the init of the pid namespace terminated',
    killedBy(KILL, {
      signal: kernelSignal(KILL, ['do_send_sig_info', 'zap_pid_ns_processes', 'do_exit'], { sender: exitingTask }),
    }),
    ['namespace_exit', 'SIGKILL', 'kernel'],
  ],
  [
    'seccomp, Linux 5.16 and later',
    killedBy(SYS, { seccomp_mode: 3, fault: fault(SYS, 1, { syscall: 101, address: null }) }),
    ['seccomp', 'SIGSYS', 'kernel'],
  ],
  [
    'seccomp by SECCOMP_RET_TRAP without a handler',
    killedBy(SYS, { seccomp_mode: 2, signal: signal(SYS, { code: 1, syscall: 101, sender: itself() }) }),
    ['seccomp', 'SIGSYS', 'kernel'],
  ],
  [
    'seccomp on old kernels, where no signal is generated',
    killedBy(SYS, { seccomp_mode: 3 }),
    ['seccomp', 'SIGSYS', 'kernel'],
  ],
  ['strict seccomp', killedBy(KILL, { seccomp_mode: 3 }), ['seccomp', 'SIGKILL', 'kernel']],
  [
    'SIGKILL by another process while a thread is in dead mode',
    killedBy(KILL, { seccomp_mode: 3, signal: signal(KILL) }),
    ['killed', 'SIGKILL', 'process'],
  ],
  [
    'syscall user dispatch is not seccomp',
    killedBy(SYS, { signal: signal(SYS, { code: 2, sender: itself() }) }),
    ['kernel', 'SIGSYS', 'kernel'],
  ],

  // Timers and terminals.
  [
    'alarm() while the idle task ran',
    killedBy(ALRM, { signal: kernelSignal(ALRM, ['it_real_fn'], { sender: swapper }) }),
    ['timer', 'SIGALRM', 'kernel'],
  ],
  [
    'alarm() without a frame',
    killedBy(ALRM, { signal: kernelSignal(ALRM, [], { sender: actor() }) }),
    ['timer', 'SIGALRM', 'kernel'],
  ],
  [
    'timer_create() with SIGKILL',
    killedBy(KILL, { signal: signal(KILL, { code: -2, syscall: null, sender: swapper }) }),
    ['timer', 'SIGKILL', 'kernel'],
  ],
  [
    'timer_create() while another process was in a system call',
    killedBy(USR1, { signal: signal(USR1, { code: -2, syscall: 0 }) }),
    ['timer', 'SIGUSR1', 'kernel'],
  ],
  [
    'ITIMER_PROF',
    killedBy(PROF, { signal: kernelSignal(PROF, ['check_cpu_itimer', 'posix_cpu_timers_work'], { sender: itself() }) }),
    ['timer', 'SIGPROF', 'kernel'],
  ],
  [
    'Ctrl-C while a kworker ran',
    killedBy(INT, { signal: kernelSignal(INT, ['isig', 'n_tty_receive_buf_common'], { sender: kworker }) }),
    ['terminal', 'SIGINT', 'kernel'],
  ],
  [
    'Ctrl-\\ without a frame',
    killedBy(QUIT, { signal: kernelSignal(QUIT, [], { sender: kworker }) }),
    ['terminal', 'SIGQUIT', 'kernel'],
  ],
  [
    'a hangup',
    killedBy(HUP, {
      signal: kernelSignal(HUP, ['tty_signal_session_leader', '__tty_hangup.part.0'], { sender: actor() }),
    }),
    ['hangup', 'SIGHUP', 'kernel'],
  ],
  [
    'a hangup by TIOCNOTTY, which has no siginfo',
    killedBy(HUP, { signal: noinfoSignal(HUP, { syscall: 16, kernel_stack: ['disassociate_ctty'] }) }),
    ['hangup', 'SIGHUP', 'kernel'],
  ],
  [
    'SIGHUP to an orphaned process group is not a hangup',
    killedBy(HUP, { signal: kernelSignal(HUP, ['kill_orphaned_pgrp'], { sender: exitingTask }) }),
    ['kernel', 'SIGHUP', 'kernel'],
  ],

  // Other signals of the kernel.
  ['SIGIO from a file', killedBy(IO, { signal: signal(IO, { code: 1, syscall: 1 }) }), ['kernel', 'SIGIO', 'kernel']],
  [
    'a notification of a message queue',
    killedBy(USR1, { signal: signal(USR1, { code: -3, syscall: 242 }) }),
    ['kernel', 'SIGUSR1', 'kernel'],
  ],
  [
    'SI_USER from a kernel thread',
    killedBy(TERM, { signal: signal(TERM, { syscall: null, sender: kworker }) }),
    ['kernel', 'SIGTERM', 'kernel'],
  ],

  // Not known.
  ['no signal recorded', killedBy(KILL), ['unknown', 'SIGKILL', 'unknown']],
  ['no signal recorded, SIGABRT', killedBy(ABRT), ['unknown', 'SIGABRT', 'unknown']],
  ['no signal recorded, SIGSEGV without a fault', killedBy(SEGV), ['unknown', 'SIGSEGV', 'unknown']],
  ['no signal recorded: SIGPIPE by its number', killedBy(PIPE), ['broken_pipe', 'SIGPIPE', 'unknown']],
  ['no signal recorded: SIGSYS by its number', killedBy(SYS), ['seccomp', 'SIGSYS', 'unknown']],
  ['no signal recorded: SIGXFSZ by its number', killedBy(XFSZ), ['resource_limit', 'SIGXFSZ', 'unknown']],
  [
    'no siginfo and no system call: the task that ran is not the sender',
    killedBy(TERM, { signal: noinfoSignal(TERM) }),
    ['unknown', 'SIGTERM', 'unknown'],
  ],
  [
    'no siginfo in a call that sends no signals',
    killedBy(TERM, { signal: noinfoSignal(TERM, { syscall: 0 }) }),
    ['unknown', 'SIGTERM', 'unknown'],
  ],
  [
    'an ignored signal that was not committed terminated nothing',
    killedBy(TERM, { signal: signal(TERM, { result: 1, committed: false, action: 'ignored' }) }),
    ['unknown', 'SIGTERM', 'unknown'],
  ],
  [
    'a recorded signal with another number is not the fatal one',
    killedBy(KILL, { signal: signal(TERM) }),
    ['unknown', 'SIGKILL', 'unknown'],
  ],
  [
    'a signal that was blocked, and delivered later',
    killedBy(TERM, { signal: signal(TERM, { committed: false }) }),
    ['killed', 'SIGTERM', 'process'],
  ],

  // Exits.
  ['an exit', exitedWith(3), ['exit', '3', null]],
  [
    'an exit after a handled SIGTERM',
    exitedWith(143, { request: signal(TERM, { action: 'handled', committed: false }) }),
    ['exit', '143', 'process'],
  ],
  [
    'an exit after a handled Ctrl-C',
    exitedWith(130, { request: kernelSignal(INT, ['isig'], { action: 'handled', sender: kworker }) }),
    ['exit', '130', 'kernel'],
  ],
  [
    'an exit after an ignored SIGTERM has no sender',
    exitedWith(1, { request: signal(TERM, { action: 'ignored', result: 1 }) }),
    ['exit', '1', null],
  ],
  [
    'an exit long after a handled SIGHUP has no sender',
    exitedWith(1, { time_ns: END + REQUEST_GRACE_NS, request: signal(HUP, { action: 'handled' }) }),
    ['exit', '1', null],
  ],
  [
    'an exit in the handler of a fault is an exit',
    exitedWith(2, { handled_fault: fault(SEGV, 1) }),
    ['exit', '2', null],
  ],

  // A handler that raises the signal again.
  [
    'a runtime that handles SIGTERM and raises it again: killed by the sender',
    killedBy(TERM, {
      signal: signal(TERM, { code: -6, sender: itself() }),
      request: signal(TERM, { action: 'handled', committed: false }),
    }),
    ['killed', 'SIGTERM', 'process'],
  ],
  [
    'a runtime that handles Ctrl-C and raises it again: from the terminal',
    killedBy(INT, {
      signal: signal(INT, { code: -6, sender: itself() }),
      request: kernelSignal(INT, ['isig'], { action: 'handled', sender: kworker }),
    }),
    ['terminal', 'SIGINT', 'kernel'],
  ],
  [
    'a watchdog sends SIGABRT, and the handler raises it again',
    killedBy(ABRT, {
      signal: signal(ABRT, { code: -6, sender: itself() }),
      request: signal(ABRT, { action: 'handled', committed: false }),
    }),
    ['killed', 'SIGABRT', 'process'],
  ],
  [
    'another process sends SIGSEGV, and the handler aborts, as that of Java does',
    killedBy(ABRT, {
      signal: signal(ABRT, { code: -6, sender: itself() }),
      request: signal(SEGV, { action: 'handled', committed: false }),
    }),
    ['abort', 'SIGABRT', 'process'],
  ],
  [
    'the same in Java, whose report of the crash had a fault of its own',
    killedBy(ABRT, {
      process: victim({ exe: '/usr/lib/jvm/java-17-openjdk-amd64/bin/java' }),
      signal: signal(ABRT, { code: -6, sender: itself(), time_ns: END }),
      request: signal(SEGV, { action: 'handled', committed: false, time_ns: END - 2_000_000n }),
      handled_fault: fault(SEGV, 1),
    }),
    ['abort', 'SIGABRT', 'process'],
  ],
  [
    'an abort after a fault of its own, and after a SIGSEGV by another process before that',
    killedBy(ABRT, {
      signal: signal(ABRT, { code: -6, sender: itself(), time_ns: END }),
      request: signal(SEGV, { action: 'handled', committed: false, time_ns: END - 2_000_000n }),
      handled_fault: fault(SEGV, 1),
    }),
    ['abort', 'SIGABRT', 'self'],
  ],
  [
    'an abort after a request to terminate is its own',
    killedBy(ABRT, {
      signal: signal(ABRT, { code: -6, sender: itself() }),
      request: signal(TERM, { action: 'handled', committed: false }),
    }),
    ['abort', 'SIGABRT', 'self'],
  ],
  [
    'an abort long after a watchdog sent SIGABRT is its own',
    killedBy(ABRT, {
      signal: signal(ABRT, { code: -6, sender: itself(), time_ns: END }),
      request: signal(ABRT, { action: 'handled', committed: false, time_ns: END - RERAISE_NS - 1n }),
    }),
    ['abort', 'SIGABRT', 'self'],
  ],
  [
    'a fault after a SIGSEGV by another process, which it survived',
    killedBy(SEGV, {
      signal: signal(SEGV, { code: -6, sender: itself(), time_ns: END }),
      request: signal(SEGV, { action: 'handled', committed: false, time_ns: END - 2_000_000n }),
      handled_fault: fault(SEGV, 1),
    }),
    ['fault', 'SIGSEGV', 'self'],
  ],
  [
    'PTRACE_KILL without a known system call',
    killedBy(KILL, {
      ptraced: true,
      signal: noinfoSignal(KILL, { kernel_stack: ['do_send_sig_info', 'ptrace_request'] }),
    }),
    ['killed', 'SIGKILL', 'process'],
  ],
  [
    'PTRACE_KILL, which has no siginfo',
    killedBy(KILL, { ptraced: true, signal: noinfoSignal(KILL, { syscall: 101 }) }),
    ['killed', 'SIGKILL', 'process'],
  ],
];

describe('the cause, the error type and the sender', () => {
  it.each(table)('%s', (_, death, expected) => {
    expect(summary(classify(death))).toEqual(expected);
  });

  it('names a sender if and only if it is a process', () => {
    for (const [name, death] of table) {
      const verdict = classify(death);
      expect([name, verdict.sender !== null]).toEqual([name, verdict.senderKind === 'process']);
    }
  });

  it('gives evidence for every verdict', () => {
    for (const [name, death] of table) expect([name, classify(death).evidence.length > 0]).toEqual([name, true]);
  });
});

describe('a verdict', () => {
  it('does not guess why a process that the out-of-memory killer killed was not marked', () => {
    const { evidence } = classify(killedBy(KILL, { signal: kernelSignal(KILL, ['__oom_kill_process']) }));
    expect(evidence).toContain(
      'the out-of-memory killer sent SIGKILL; no mark as its victim was seen when the process terminated',
    );
  });

  it('does not take the core bit as part of the signal number', () => {
    const verdict = classify(killedBy(SEGV | 0x80, { fault: fault(SEGV, 1) }));
    expect([verdict.signo, verdict.coreDumped, verdict.errorType]).toEqual([SEGV, true, 'SIGSEGV']);
  });

  it('names the thread that crashed, not the one that exited last', () => {
    const verdict = classify(
      killedBy(SEGV, { process: victim({ tid: 4250 }), fault: fault(SEGV, 1, { tid: 4244, thread_comm: 'worker' }) }),
    );
    expect(verdict.thread).toEqual({ tid: 4244, name: 'worker' });
  });

  it('names the thread that aborted', () => {
    const verdict = classify(
      killedBy(ABRT, { signal: signal(ABRT, { code: -6, sender: itself({ tid: 4245, comm: 'gc' }) }) }),
    );
    expect(verdict.thread).toEqual({ tid: 4245, name: 'gc' });
  });

  it('names no thread if all were killed at once', () => {
    expect(classify(killedBy(KILL, { signal: signal(KILL) })).thread).toBeNull();
  });

  it('lists the SIGTERM before the SIGKILL, and its sender', () => {
    const request = signal(TERM, {
      action: 'ignored',
      result: 1,
      committed: false,
      time_ns: END - 10_000_000_000n,
      sender: actor({ pid: 7, comm: 'systemd', exe: '/usr/lib/systemd/systemd' }),
    });
    const { evidence } = classify(killedBy(KILL, { signal: signal(KILL), request }));
    expect(evidence).toContain('SIGTERM from systemd (pid 7) was ignored, 10.000 s before the termination');
  });

  it('lists an earlier SIGTERM that the kernel ignored for an init', () => {
    const request = signal(TERM, { action: 'default', result: 1, committed: false });
    const { evidence } = classify(killedBy(KILL, { signal: signal(KILL), request }));
    expect(evidence.join()).toContain(
      'was ignored: the process is the init of a pid namespace and has no handler, 0.001 s',
    );
    expect(classify(exitedWith(1, { request })).senderKind).toBeNull();
  });

  it.each([
    [false, 'SIGTERM from bash (pid 99) was blocked, 0.001 s before the termination'],
    [true, 'SIGTERM from bash (pid 99) came while it was stopped, 0.001 s before the termination'],
  ])('says what kept a SIGTERM from a process that was killed (stopped: %s)', (victim_stopped, expected) => {
    const request = signal(TERM, { action: 'default', victim_stopped });
    expect(classify(killedBy(KILL, { signal: signal(KILL), request })).evidence).toContain(expected);
  });

  it('lists a SIGTERM that was blocked, and names no sender for the exit', () => {
    const request = signal(TERM, { action: 'default', result: 0, committed: false });
    const { evidence, senderKind } = classify(exitedWith(1, { request }));
    expect(evidence).toContain('SIGTERM from bash (pid 99) was blocked, 0.001 s before the termination');
    expect(senderKind).toBeNull();
  });

  it('lists the fault before a SIGKILL that interrupted the core dump', () => {
    const { cause, evidence } = classify(
      killedBy(KILL, { signal: signal(KILL, { committed: false }), fault: fault(SEGV, 1) }),
    );
    expect(cause).toBe('killed');
    expect(evidence.join()).toContain('SEGV_MAPERR at 0xbeef, trap 14, came first; SIGKILL interrupted the core dump');
  });

  it('lists the fault that was delivered to a handler before it aborted', () => {
    const { evidence } = classify(
      killedBy(ABRT, { signal: signal(ABRT, { code: -6, sender: itself() }), handled_fault: fault(SEGV, 1) }),
    );
    expect(evidence.join()).toContain('had been delivered to a handler');
  });

  it('reports the handled fault whose handler could not be run', () => {
    const first = fault(SEGV, 1);
    const verdict = classify(
      killedBy(SEGV, {
        handled_fault: first,
        fault: fault(SEGV, 128, { address: null, time_ns: first.time_ns + 5_000n }),
      }),
    );
    expect([verdict.fault?.address, verdict.senderKind]).toEqual(['0xbeef', 'kernel']);
    expect(verdict.evidence.join()).toContain('could not run the handler');
  });

  it('reports a general protection fault after a handled page fault as such', () => {
    const later = fault(SEGV, 128, { address: null, trap_nr: 13 });
    const verdict = classify(killedBy(SEGV, { handled_fault: fault(SEGV, 1), fault: later }));
    expect(verdict.fault).toBe(later);
  });

  it.each([
    [false, 'generated while bash (pid 99) was running: its parent, which was exiting'],
    [
      true,
      'generated while bash (pid 99) was running: the thread of its parent that had started it ended; the parent process lives',
    ],
  ])('says whether the parent process lives after PR_SET_PDEATHSIG: %s', (process_lives, line) => {
    const sender = actor({ exiting: true, process_lives });
    const { evidence } = classify(killedBy(TERM, { pdeath_signal: TERM, signal: noinfoSignal(TERM, { sender }) }));
    expect(evidence).toContain(line);
  });

  it('says what a request from the kernel was', () => {
    const request = signal(TERM, { action: 'handled', committed: false, code: -3, syscall: 242 });
    expect(classify(exitedWith(1, { request })).evidence).toContain(
      'SIGTERM from the kernel (a notification of a message queue (mq_notify)) was handled, 0.001 s before the termination',
    );
  });

  it('has the disposition `handled` for a signal that its handler raised again', () => {
    const verdict = classify(
      killedBy(TERM, {
        signal: signal(TERM, { code: -6, sender: itself() }),
        request: signal(TERM, { action: 'handled' }),
      }),
    );
    expect([verdict.disposition, verdict.sender?.pid]).toEqual(['handled', 99]);
  });

  it('names a process by its executable, not by the comm that it may choose', () => {
    const sender = actor({ comm: 'systemd', exe: '/home/mallory/x' });
    const { evidence } = classify(killedBy(KILL, { signal: signal(KILL, { sender }) }));
    expect(evidence[0]).toMatch(/^sent with .* by x \(pid 99\), SI_USER$/);
  });

  it('names the victim by its executable, too', () => {
    const own = kernelSignal(ALRM, ['it_real_fn'], { sender: itself({ comm: 'systemd' }) });
    const request = noinfoSignal(TERM, { action: 'handled', sender: itself({ comm: 'systemd' }) });
    const { evidence } = classify(killedBy(ALRM, { signal: own, request }));
    expect(evidence).toContain(
      'generated while sleep (pid 4242) was running: interrupted by the timer, not the sender',
    );
    expect(evidence.join()).not.toContain('systemd');
  });

  it('says that the task that ran during an alarm is not the sender', () => {
    const { evidence, sender } = classify(
      killedBy(ALRM, {
        signal: kernelSignal(ALRM, ['it_real_fn'], { sender: actor({ comm: 'postgres', exe: null, pid: 12 }) }),
      }),
    );
    expect(sender).toBeNull();
    expect(evidence).toContain(
      'generated while postgres (pid 12) was running: interrupted by the timer, not the sender',
    );
  });

  it.each([
    ['its cgroup, by the limit that was recorded', { oom: oom() }, [], 'cgroup'],
    ['its cgroup, by the frame', {}, ['out_of_memory', 'mem_cgroup_out_of_memory'], 'cgroup'],
    ['its cgroup, by the caller if the frame is inlined', {}, ['out_of_memory', 'try_charge_memcg'], 'cgroup'],
    [
      'the host, by the caller',
      {},
      ['oom_kill_process', 'out_of_memory', '__alloc_pages_slowpath.constprop.0'],
      'host',
    ],
    ['unknown without frames', {}, [], 'unknown'],
  ] as const)('the memory that ran out: %s', (_, known, stack, scope) => {
    expect(
      classify(killedBy(KILL, { signal: kernelSignal(KILL, [...stack]), oom_victim: true, ...known })).oomScope,
    ).toBe(scope);
  });
});

describe('the system call in the evidence', () => {
  const evidenceOf = (syscall: number | null, syscall_arch: number | null) =>
    classify(killedBy(KILL, { signal: { ...signal(KILL), syscall, syscall_arch } })).evidence[0];
  it.each([
    ['on x86-64', 62, X86_64, 'sent with kill(2) by '],
    ['on x32', X32_BIT + 524, X86_64, 'sent with rt_sigqueueinfo(2) by '],
    ['on i386', 37, I386, 'sent with kill(2) by '],
    ['on i386, where the number is pselect6 of x86-64', 270, I386, 'sent with tgkill(2) by '],
    ['on arm64', 129, ARM64, 'sent with kill(2) by '],
    ['on arm', 268, ARM, 'sent with tgkill(2) by '],
    ['as a number if its table is not known', 62, null, 'sent with system call 62 by '],
    ['not at all if it is not known', null, null, 'sent by '],
  ])('is named by the table of the task: %s', (_, syscall, arch, begins) => {
    expect(evidenceOf(syscall, arch)).toMatch(new RegExp(`^${begins.replace(/[()]/g, '\\$&')}`));
  });
});
