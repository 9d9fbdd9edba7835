// SPDX-License-Identifier: Apache-2.0
// The rule that decides, and the evidence that a reader gets, word for word. classify.test.ts has more ways to the same causes.
import { describe, expect, it } from 'vitest';
import { causeOf } from '../../../src/core/verdict/causes.ts';
import { classify } from '../../../src/core/verdict/classify.ts';
import { codeLabel, faultEvidence, stackEvidence } from '../../../src/core/verdict/evidence.ts';
import { factsOf } from '../../../src/core/verdict/facts.ts';
import { callEvidence, callPrefix, taskLabel } from '../../../src/core/verdict/labels.ts';
import { RERAISE_NS } from '../../../src/core/verdict/origin.ts';
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
  signal,
  victim,
} from '../../support/deadly.ts';

const [HUP, INT, QUIT, ABRT, KILL, USR1, SEGV, PIPE] = [1, 2, 3, 6, 9, 10, 11, 13];
const [ALRM, TERM, XCPU, XFSZ, VTALRM, SYS] = [14, 15, 24, 25, 26, 31];
const dying = actor({ pid: 7, exe: '/usr/bin/parent', exiting: true });

const ruleOf = (death: Death): string => causeOf(factsOf(death, death.status_raw & 0x7f)).name;

describe('each rule says what led to the cause', () => {
  it.each<[rule: string, what: string, death: Death, evidence: string[]]>([
    [
      'its pid namespace was turned off',
      'reboot(2) in a container',
      killedBy(INT, { process: victim({ vpid: 1 }) }),
      ['the init of a pid namespace has the status SIGINT after reboot(2) in the namespace'],
    ],
    [
      'a seccomp filter or strict mode killed it',
      'SIGSYS in dead mode',
      killedBy(SYS, { seccomp_mode: 3, fault: fault(SYS, 1, { syscall: 101, address: null }) }),
      ['seccomp mode of its last thread is 3 (dead)'],
    ],
    [
      'a seccomp filter or strict mode killed it',
      'SECCOMP_RET_TRAP without a handler, as a delivered signal',
      killedBy(SYS, { seccomp_mode: 2, fault: fault(SYS, 1, { address: null }) }),
      ['SIGSYS with SYS_SECCOMP'],
    ],
    [
      'the out-of-memory killer killed it',
      'a marked victim',
      killedBy(KILL, { signal: kernelSignal(KILL, ['__oom_kill_process.part.0']), oom_victim: true }),
      [
        'it was marked as a victim of the out-of-memory killer',
        'kernel stack of the signal: __oom_kill_process.part.0',
      ],
    ],
    [
      'the out-of-memory killer killed it',
      'a victim that was not marked',
      killedBy(KILL, { signal: kernelSignal(KILL, ['do_send_sig_info', 'oom_kill_process']) }),
      [
        'the out-of-memory killer sent SIGKILL; no mark as its victim was seen when the process terminated',
        'kernel stack of the signal: oom_kill_process',
      ],
    ],
    [
      'the out-of-memory killer killed it',
      'before Linux 4.20, as the tracepoint shows it',
      killedBy(KILL, { signal: noinfoSignal(KILL, { sender: itself(), kernel_stack: ['oom_kill_process'] }) }),
      [
        'the out-of-memory killer sent SIGKILL; no mark as its victim was seen when the process terminated',
        'kernel stack of the signal: oom_kill_process',
      ],
    ],
    [
      'the processor raised a fault',
      'with address and trap',
      killedBy(SEGV, { fault: fault(SEGV, 2) }),
      ['SIGSEGV with SEGV_ACCERR at 0xbeef, trap 14, delivered with the default action'],
    ],
    [
      'the processor raised a fault',
      'without address and trap, as on arm64',
      killedBy(SEGV, { fault: fault(SEGV, 1, { address: null, trap_nr: null }) }),
      ['SIGSEGV with SEGV_MAPERR, delivered with the default action'],
    ],
    [
      'the processor raised a fault, recorded only when the signal was generated',
      'no delivery was recorded',
      killedBy(SEGV, { signal: signal(SEGV, { code: 1, syscall: null, sender: itself() }) }),
      ['generated with SEGV_MAPERR'],
    ],
    [
      'the fault had a handler, but the kernel could not run it',
      'a stack overflow',
      killedBy(SEGV, {
        handled_fault: fault(SEGV, 1, { time_ns: END - 2n }),
        fault: fault(SEGV, 128, { address: null, time_ns: END - 1n }),
      }),
      [
        'SIGSEGV with SEGV_MAPERR at 0xbeef, trap 14, had a handler',
        'the kernel could not run the handler, and forced the default action',
      ],
    ],
    [
      'its handler raised the signal of the fault again',
      'a crash handler',
      killedBy(SEGV, { signal: signal(SEGV, { code: -6, sender: itself() }), handled_fault: fault(SEGV, 1) }),
      [
        'SIGSEGV with SEGV_MAPERR at 0xbeef, trap 14, delivered to a handler',
        'the same signal was then raised by the process itself',
      ],
    ],
    [
      'the init of its pid namespace terminated',
      'a container that ended',
      killedBy(KILL, { signal: kernelSignal(KILL, ['zap_pid_ns_processes'], { sender: dying }) }),
      [
        'generated while parent (pid 7) was running: the init of its pid namespace, which was exiting',
        'kernel stack of the signal: zap_pid_ns_processes',
      ],
    ],
    [
      'its parent terminated, and it had set PR_SET_PDEATHSIG',
      'by the setting and the exiting parent',
      killedBy(TERM, { pdeath_signal: TERM, signal: noinfoSignal(TERM, { syscall: 231, sender: dying }) }),
      ['PR_SET_PDEATHSIG was SIGTERM', 'generated while parent (pid 7) was running: its parent, which was exiting'],
    ],
    [
      'its parent terminated, and it had set PR_SET_PDEATHSIG',
      'by the frame: a thread of the parent',
      killedBy(TERM, {
        pdeath_signal: TERM,
        signal: noinfoSignal(TERM, {
          sender: actor({ pid: 7, exe: '/usr/bin/parent', process_lives: true }),
          kernel_stack: ['reparent_leader'],
        }),
      }),
      [
        'PR_SET_PDEATHSIG was SIGTERM',
        'generated while parent (pid 7) was running: the thread of its parent that had started it ended; the parent process lives',
        'kernel stack of the signal: reparent_leader',
      ],
    ],
    [
      'it reached its CPU time limit',
      'the soft limit',
      killedBy(XCPU, { signal: kernelSignal(XCPU, [], { sender: itself() }) }),
      ["SIGXCPU from the kernel's check of RLIMIT_CPU or RLIMIT_RTTIME"],
    ],
    [
      'it reached its CPU time limit',
      'the hard limit',
      killedBy(KILL, { signal: kernelSignal(KILL, ['check_process_timers'], { sender: itself() }) }),
      [
        "SIGKILL from the kernel's check of RLIMIT_CPU or RLIMIT_RTTIME",
        'kernel stack of the signal: check_process_timers',
      ],
    ],
    [
      'a write exceeded the file size limit',
      'in write(2)',
      killedBy(XFSZ, { signal: noinfoSignal(XFSZ, { group: false, syscall: 1, sender: itself() }) }),
      ['SIGXFSZ without siginfo, raised in its own write beyond RLIMIT_FSIZE', 'in write(2)'],
    ],
    [
      'it wrote to a pipe or socket without a reader',
      'in sendto(2)',
      killedBy(PIPE, {
        signal: noinfoSignal(PIPE, { group: false, syscall: 44, sender: itself(), kernel_stack: ['sk_stream_error'] }),
      }),
      [
        'SIGPIPE without siginfo, raised in its own write',
        'in sendto(2)',
        'kernel stack of the signal: sk_stream_error',
      ],
    ],
    [
      'it wrote to a pipe or socket without a reader',
      'the system call is not known',
      killedBy(PIPE, { signal: noinfoSignal(PIPE, { group: false, sender: itself() }) }),
      ['SIGPIPE without siginfo, raised in its own write'],
    ],
    [
      'a timer expired',
      'alarm(2)',
      killedBy(ALRM, { signal: kernelSignal(ALRM, ['it_real_fn']) }),
      [
        'an alarm or interval timer',
        'generated while bash (pid 99) was running: interrupted by the timer, not the sender',
        'kernel stack of the signal: it_real_fn',
      ],
    ],
    [
      'a timer expired',
      'timer_create(2)',
      killedBy(USR1, { signal: signal(USR1, { code: -2, syscall: 0, kernel_stack: ['posix_timer_fn'] }) }),
      [
        'a POSIX timer (SI_TIMER)',
        'generated while bash (pid 99) was running: interrupted by the timer, not the sender',
        'kernel stack of the signal: posix_timer_fn',
      ],
    ],
    [
      'its terminal closed',
      'a hangup by the kernel',
      killedBy(HUP, { signal: kernelSignal(HUP, ['__tty_hangup']) }),
      ['SIGHUP from the kernel, which hung up its terminal', 'kernel stack of the signal: __tty_hangup'],
    ],
    [
      'a key was typed at its terminal',
      'Ctrl-C',
      killedBy(INT, { signal: kernelSignal(INT, ['isig']) }),
      ["SIGINT from the kernel's terminal layer", 'kernel stack of the signal: isig'],
    ],
    [
      'it aborted',
      'abort(3)',
      killedBy(ABRT, { signal: signal(ABRT, { code: -6, syscall: 234, sender: itself() }) }),
      ['SIGABRT sent by one of its own threads, SI_TKILL'],
    ],
    [
      'its handler of a signal of another process aborted',
      'SIGBUS to a Java virtual machine',
      killedBy(ABRT, {
        signal: signal(ABRT, { code: -6, syscall: 234, sender: itself() }),
        request: signal(7, { action: 'handled', committed: false }),
      }),
      [
        'SIGBUS from bash (pid 99) was handled, 0.001 s before the termination',
        'the process itself then raised SIGABRT',
      ],
    ],
    [
      'it sent the signal to itself',
      'kill(2) without siginfo',
      killedBy(USR1, { signal: noinfoSignal(USR1, { syscall: 62, sender: itself() }) }),
      ['the sender is the process itself, no siginfo'],
    ],
    [
      'another process wrote to its cgroup.kill',
      'the writer',
      killedBy(KILL, { signal: noinfoSignal(KILL, { syscall: 1, group: false, kernel_stack: ['cgroup_kill_write'] }) }),
      [
        'generated while bash (pid 99) was running: it wrote to cgroup.kill',
        'kernel stack of the signal: cgroup_kill_write',
      ],
    ],
    [
      'another process sent the signal',
      'kill(2)',
      killedBy(TERM, { signal: signal(TERM) }),
      ['sent with kill(2) by bash (pid 99), SI_USER'],
    ],
    [
      'another process sent the signal',
      'the system call is not known',
      killedBy(TERM, { signal: signal(TERM, { code: -1, syscall: null, syscall_arch: null }) }),
      ['sent by bash (pid 99), SI_QUEUE'],
    ],
    [
      'the kernel sent it for another reason',
      'SIGKILL',
      killedBy(KILL, { signal: kernelSignal(KILL, ['exit_ptrace'], { sender: dying }) }),
      [
        'SIGKILL from the kernel, SI_KERNEL',
        'it was not marked as an out-of-memory victim',
        'its tracer, parent (pid 7), terminated (PTRACE_O_EXITKILL)',
        'kernel stack of the signal: exit_ptrace',
      ],
    ],
    [
      'the kernel sent it for another reason',
      'another signal',
      killedBy(TERM, { signal: kernelSignal(TERM) }),
      ['SIGTERM from the kernel, SI_KERNEL', 'generated while bash (pid 99) was running: not necessarily the sender'],
    ],
    [
      'only the signal number is known: broken pipe',
      'no signal was recorded',
      killedBy(PIPE),
      ['no signal was recorded; SIGPIPE comes from a write'],
    ],
    [
      'only the signal number is known: seccomp',
      'no signal was recorded',
      killedBy(SYS),
      ['SIGSYS, but no signal was sent: a seccomp filter before Linux 5.16'],
    ],
    [
      'only the signal number is known: resource limit',
      'SIGXCPU',
      killedBy(XCPU),
      ['no signal was recorded; SIGXCPU comes from a limit'],
    ],
    [
      'only the signal number is known: resource limit',
      'SIGXFSZ',
      killedBy(XFSZ),
      ['no signal was recorded; SIGXFSZ comes from a limit'],
    ],
    ['the cause is not known', 'no signal was recorded', killedBy(KILL), ['no signal was recorded']],
    [
      'the cause is not known',
      'the signal has no siginfo',
      killedBy(TERM, { signal: noinfoSignal(TERM) }),
      [
        'not enough is known about the signal, no siginfo',
        'generated while bash (pid 99) was running: not necessarily the sender',
      ],
    ],
  ])('%s: %s', (rule, _, death, evidence) => {
    expect(ruleOf(death)).toBe(rule);
    expect(classify(death).evidence).toEqual(evidence);
  });
});

describe('other facts in the evidence', () => {
  const killed = 'sent with kill(2) by bash (pid 99), SI_USER';
  const earlier = (signo: number, ns: bigint, changes = {}) =>
    signal(signo, { action: 'handled', committed: false, time_ns: END - ns, ...changes });

  it.each<[what: string, death: Death, evidence: string[]]>([
    ['nothing else', killedBy(KILL, { signal: signal(KILL) }), [killed]],
    ['a tracer', killedBy(KILL, { signal: signal(KILL), ptraced: true }), [killed, 'a tracer was attached']],
    [
      'a shortened record',
      killedBy(KILL, { signal: signal(KILL), shrunk: true }),
      [killed, 'its share of the ring buffer was nearly full: parts of the record were left out'],
    ],
    [
      'facts that were not kept',
      killedBy(KILL, { facts_refused: true, origin: { cgroup: 7n, uid: 54_321 } }),
      [
        'no signal was recorded',
        'the memory for signals was full for its user (uid 54321) since it started: signals and their senders may be missing',
      ],
    ],
    [
      'a request by another process, which it handled',
      killedBy(KILL, { signal: signal(KILL), request: earlier(TERM, 10_000_000_000n) }),
      [killed, 'SIGTERM from bash (pid 99) was handled, 10.000 s before the termination'],
    ],
    [
      'a request by itself',
      killedBy(KILL, { signal: signal(KILL), request: earlier(INT, 1_500_000n, { code: -6, sender: itself() }) }),
      [killed, 'SIGINT from itself was handled, 0.002 s before the termination'],
    ],
    [
      'a request by the kernel',
      killedBy(KILL, { signal: signal(KILL), request: kernelSignal(HUP, [], { action: 'ignored', time_ns: END }) }),
      [killed, 'SIGHUP from the kernel was ignored, 0.000 s before the termination'],
    ],
    [
      'a request that is a notification',
      killedBy(KILL, { signal: signal(KILL), request: kernelSignal(29, [], { action: 'handled', time_ns: END }) }),
      [
        killed,
        'SIGIO from the kernel (a notification of a descriptor (O_ASYNC)) was handled, 0.000 s before the termination',
      ],
    ],
    [
      'a request, of which an older loader does not say whether the process was stopped then',
      killedBy(KILL, { signal: signal(KILL), request: earlier(TERM, 0n, { victim_stopped: null }) }),
      [killed, 'SIGTERM from bash (pid 99) was handled, 0.000 s before the termination'],
    ],
    [
      'such a request before another signal than SIGKILL: it was not stopped then',
      killedBy(TERM, { signal: signal(TERM), request: earlier(HUP, 0n, { action: 'default', victim_stopped: null }) }),
      [killed, 'SIGHUP from bash (pid 99) was blocked, 0.000 s before the termination'],
    ],
    [
      'a request whose sender is not known',
      killedBy(KILL, { signal: signal(KILL), request: noinfoSignal(TERM, { action: 'handled', time_ns: END }) }),
      [killed, 'SIGTERM was handled, 0.000 s before the termination'],
    ],
    [
      'a signal that was ignored',
      killedBy(TERM, { signal: signal(TERM, { result: 1, committed: false, action: 'ignored' }) }),
      ['no signal was recorded', 'a SIGTERM from bash (pid 99) had been ignored'],
    ],
    [
      'the request that a handler raised again is the signal, and not listed a second time',
      killedBy(TERM, {
        signal: signal(TERM, { code: -6, sender: itself() }),
        request: earlier(TERM, 5_000_000n, { sender: actor({ pid: 7, exe: '/usr/lib/systemd/systemd' }) }),
      }),
      ['sent with kill(2) by systemd (pid 7), SI_USER'],
    ],
    [
      'a request that it handled before another process sent the same signal',
      killedBy(TERM, { signal: signal(TERM), request: earlier(TERM, 1_000_000_000n, { sender: dying }) }),
      [killed, 'SIGTERM from parent (pid 7) was handled, 1.000 s before the termination'],
    ],
    [
      'a fault before a SIGKILL',
      killedBy(KILL, { signal: signal(KILL), fault: fault(SEGV, 1) }),
      [killed, 'SIGSEGV with SEGV_MAPERR at 0xbeef, trap 14, came first; SIGKILL interrupted the core dump'],
    ],
    [
      'a fault before another signal',
      killedBy(TERM, { signal: signal(TERM), fault: fault(SEGV, 1) }),
      [killed, 'SIGSEGV with SEGV_MAPERR at 0xbeef, trap 14, came first'],
    ],
    [
      'a fault that a handler got, before an exit',
      exitedWith(2, { handled_fault: fault(SEGV, 1) }),
      ['it exited with code 2', 'SIGSEGV with SEGV_MAPERR at 0xbeef, trap 14, had been delivered to a handler'],
    ],
    [
      'a handler got a fault long before the fault that terminated it: the older one is not listed',
      killedBy(SEGV, { fault: fault(SEGV, 2), handled_fault: fault(8, 1) }),
      ['SIGSEGV with SEGV_ACCERR at 0xbeef, trap 14, delivered with the default action'],
    ],
    [
      'an exit that follows a request',
      exitedWith(0, { request: earlier(TERM, 2_000_000n) }),
      ['it exited with code 0', 'SIGTERM from bash (pid 99) was handled, 0.002 s before the termination'],
    ],
  ])('%s', (_, death, evidence) => {
    expect(classify(death).evidence).toEqual(evidence);
  });
});

describe('the init of a pid namespace', () => {
  const init = (signo: number, changes: Partial<Death> = {}) =>
    classify(killedBy(signo, { process: victim({ vpid: 1 }), ...changes }));

  it.each([INT, HUP])('with the status of signal %i: its namespace was turned off', (signo) => {
    expect(init(signo)).toMatchObject({ cause: 'namespace_exit', senderKind: 'kernel', sender: null });
  });

  it.each([KILL, TERM])('that signal %i of another process terminated: it was killed', (signo) => {
    expect(init(signo, { signal: signal(signo) })).toMatchObject({ cause: 'killed', senderKind: 'process' });
  });
});

describe('what looks like a cause, and is another', () => {
  it.each<[what: string, death: Death, cause: string]>([
    ['SIGTERM in dead mode is not seccomp', killedBy(TERM, { seccomp_mode: 3 }), 'unknown'],
    ['SIGTERM to a victim of the out-of-memory killer', killedBy(TERM, { oom_victim: true }), 'unknown'],
    [
      'a handled SIGSEGV, then its own SIGFPE',
      killedBy(8, { signal: signal(8, { code: -6, sender: itself() }), handled_fault: fault(SEGV, 1) }),
      'self_signal',
    ],
    [
      'a handled SIGSEGV, then a SIGSEGV by another process',
      killedBy(SEGV, { signal: signal(SEGV), handled_fault: fault(SEGV, 1) }),
      'killed',
    ],
    [
      'a handled SIGSEGV, then one without a recorded signal',
      killedBy(SEGV, { handled_fault: fault(SEGV, 1) }),
      'unknown',
    ],
    [
      'its own SIGSEGV a minute after the fault is the fault',
      killedBy(SEGV, {
        signal: signal(SEGV, { code: -6, sender: itself(), time_ns: END }),
        handled_fault: fault(SEGV, 1, { time_ns: END - RERAISE_NS }),
      }),
      'fault',
    ],
    [
      'its own SIGSEGV later is not',
      killedBy(SEGV, {
        signal: signal(SEGV, { code: -6, sender: itself(), time_ns: END }),
        handled_fault: fault(SEGV, 1, { time_ns: END - RERAISE_NS - 1n }),
      }),
      'self_signal',
    ],
    [
      'only SIGKILL is the end of a pid namespace',
      killedBy(TERM, { signal: kernelSignal(TERM, ['zap_pid_ns_processes']) }),
      'kernel',
    ],
    [
      'an exiting parent that called kill(2) sent the signal of PR_SET_PDEATHSIG itself',
      killedBy(TERM, { pdeath_signal: TERM, signal: signal(TERM, { sender: dying }) }),
      'killed',
    ],
    [
      'an exiting parent, but PR_SET_PDEATHSIG is another signal',
      killedBy(TERM, { pdeath_signal: HUP, signal: noinfoSignal(TERM, { sender: dying }) }),
      'unknown',
    ],
    ['a parent that does not exit', killedBy(TERM, { pdeath_signal: TERM, signal: noinfoSignal(TERM) }), 'unknown'],
    [
      'SIGTERM in a check of CPU time',
      killedBy(TERM, { signal: kernelSignal(TERM, ['check_process_timers']) }),
      'kernel',
    ],
    [
      'any signal with the frame of a timer',
      killedBy(USR1, { signal: kernelSignal(USR1, ['posix_timer_fn']) }),
      'timer',
    ],
    ['SIGVTALRM from the kernel', killedBy(VTALRM, { signal: kernelSignal(VTALRM) }), 'timer'],
    ['SIGHUP of which no signal was recorded', killedBy(HUP), 'unknown'],
    ['SIGHUP from the kernel without a frame', killedBy(HUP, { signal: kernelSignal(HUP) }), 'hangup'],
    ['SIGTERM in a hangup', killedBy(TERM, { signal: kernelSignal(TERM, ['__tty_hangup']) }), 'kernel'],
    ['SIGINT from the kernel without a frame', killedBy(INT, { signal: kernelSignal(INT) }), 'terminal'],
    ['SIGQUIT from the kernel without a frame', killedBy(QUIT, { signal: kernelSignal(QUIT) }), 'terminal'],
    ['any signal with the frame of a terminal', killedBy(USR1, { signal: kernelSignal(USR1, ['isig']) }), 'terminal'],
    [
      'the kernel is not the writer of cgroup.kill',
      killedBy(KILL, { signal: kernelSignal(KILL, ['cgroup_kill']) }),
      'kernel',
    ],
    ['SIGPIPE without a known sender', killedBy(PIPE, { signal: noinfoSignal(PIPE) }), 'unknown'],
    ['SIGXCPU without a known sender', killedBy(XCPU, { signal: noinfoSignal(XCPU) }), 'unknown'],
    ['SIGSYS without a known sender', killedBy(SYS, { signal: noinfoSignal(SYS) }), 'unknown'],
    ['SIGSYS after another signal was recorded', killedBy(SYS, { signal: signal(TERM) }), 'unknown'],
    [
      'SIGSYS for syscall user dispatch',
      killedBy(SYS, { fault: fault(SYS, 2), signal: signal(SYS, { code: 2 }) }),
      'kernel',
    ],
    ['SIGBUS by kill(2) after a SIGSEGV', killedBy(7, { fault: fault(SEGV, 1), signal: signal(7) }), 'killed'],
    ['SIGSEGV by kill(2), delivered', killedBy(SEGV, { fault: fault(SEGV, 0), signal: signal(SEGV) }), 'killed'],
    [
      'SIGSEGV by raise(3), delivered',
      killedBy(SEGV, { fault: fault(SEGV, -6), signal: signal(SEGV, { code: -6, sender: itself() }) }),
      'self_signal',
    ],
    [
      'SIGKILL while the kernel could not run the handler of a fault',
      killedBy(KILL, {
        signal: signal(KILL),
        handled_fault: fault(SEGV, 1),
        fault: fault(SEGV, 128, { address: null }),
      }),
      'killed',
    ],
  ])('%s', (_, death, cause) => {
    expect(classify(death).cause).toBe(cause);
  });
});

describe('a fault after a handled one', () => {
  const RAISED = 'the processor raised a fault';
  const FORCED = 'the fault had a handler, but the kernel could not run it';
  const handled = (changes = {}) => fault(SEGV, 1, { time_ns: END - 200_000_000n, ...changes });
  const next = (changes = {}) => fault(SEGV, 128, { address: null, time_ns: END - 200_000_000n, ...changes });

  it.each<[what: string, death: Death, rule: string]>([
    ['at once, with the same trap number', killedBy(SEGV, { handled_fault: handled(), fault: next() }), FORCED],
    [
      '100 ms later',
      killedBy(SEGV, { handled_fault: handled(), fault: next({ time_ns: END - 100_000_000n }) }),
      FORCED,
    ],
    [
      'more than 100 ms later',
      killedBy(SEGV, { handled_fault: handled(), fault: next({ time_ns: END - 99_999_999n }) }),
      RAISED,
    ],
    [
      'recorded before the handled one',
      killedBy(SEGV, { handled_fault: handled(), fault: next({ time_ns: 0n }) }),
      RAISED,
    ],
    ['with another trap number', killedBy(SEGV, { handled_fault: handled(), fault: next({ trap_nr: 13 }) }), RAISED],
    ['with a code of its own', killedBy(SEGV, { handled_fault: handled(), fault: next({ code: 1 }) }), RAISED],
    [
      'two general protection faults',
      killedBy(SEGV, { handled_fault: handled({ code: 128, trap_nr: 13 }), fault: next({ trap_nr: 13 }) }),
      RAISED,
    ],
    [
      'another signal than SIGSEGV',
      killedBy(7, { handled_fault: handled({ signo: 7 }), fault: next({ signo: 7 }) }),
      RAISED,
    ],
    ['forced without a trap number', killedBy(SEGV, { fault: next({ trap_nr: null }) }), 'the cause is not known'],
    ['forced with trap 0', killedBy(SEGV, { fault: next({ trap_nr: 0 }) }), 'the cause is not known'],
  ])('%s', (_, death, rule) => {
    expect(ruleOf(death)).toBe(rule);
  });
});

describe('the texts for facts that are not known', () => {
  it('there is no evidence of a fault that was not recorded', () => {
    expect(faultEvidence(null, 'came first')).toEqual([]);
  });

  it('a signal that was not recorded has no task, code, stack or system call', () => {
    expect([taskLabel(null), codeLabel(null)]).toEqual(['an unknown task', 'no code']);
    expect([stackEvidence(null), callPrefix(null), callEvidence(null)]).toEqual([[], '', []]);
  });
});

describe('the system call in the evidence', () => {
  const I386 = 0x40000003;
  it.each([
    ['is named', { syscall: 1 }, 'in write(2)'],
    ['is named by the table of the task', { syscall: 1, syscall_arch: I386 }, 'in exit(2)'],
    ['is a number if the table does not have it', { syscall: 9_999 }, 'in system call 9999'],
    ['is a number if the table is not known', { syscall: 1, syscall_arch: null }, 'in system call 1'],
  ])('%s', (_, changes, evidence) => {
    expect(callEvidence(signal(TERM, changes))).toEqual([evidence]);
  });
});
