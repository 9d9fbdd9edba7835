// SPDX-License-Identifier: Apache-2.0
// What each function on the kernel stack of a signal shows: its cause, that a process made the call, or that none did.
import { describe, expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import * as frames from '../../../src/core/verdict/frames.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import { kernelSignal, killedBy, noinfoSignal, signal } from '../../support/deadly.ts';

const [HUP, KILL, USR1, TERM] = [1, 9, 10, 15];
const UNKNOWN_CALL = { syscall: null, syscall_arch: null };

/** From the kernel, with a mark of its own. */
const marked = (signo: number) => (frame: string) => killedBy(signo, { signal: kernelSignal(signo, [frame]) });
/** Without siginfo, as the kernel and some system calls send it. */
const unmarked = (signo: number) => (frame: string) =>
  killedBy(signo, { signal: noinfoSignal(signo, { ...UNKNOWN_CALL, kernel_stack: [frame] }) });

const FUNCTIONS: readonly (readonly [functions: string, cause: string, death: (frame: string) => Death])[] = [
  ['__oom_kill_process oom_kill_process oom_kill_memcg_member out_of_memory', 'oom_kill', marked(KILL)],
  ['mem_cgroup_out_of_memory', 'oom_kill', marked(KILL)],
  ['zap_pid_ns_processes', 'namespace_exit', marked(KILL)],
  ['forget_original_parent reparent_leader', 'parent_death', unmarked(TERM)],
  ['posix_cpu_timers_work handle_posix_cpu_timers run_posix_cpu_timers', 'resource_limit', marked(KILL)],
  ['check_process_timers check_thread_timers check_rlimit', 'resource_limit', marked(KILL)],
  ['it_real_fn posix_timer_fn check_cpu_itimer cpu_timer_fire', 'timer', marked(USR1)],
  ['posixtimer_send_sigqueue send_sigqueue', 'timer', marked(USR1)],
  ['tty_signal_session_leader __tty_hangup disassociate_ctty', 'hangup', unmarked(HUP)],
  ['tty_vhangup tty_vhangup_session', 'hangup', unmarked(HUP)],
  ['isig __isig n_tty_receive_signal_char', 'terminal', marked(USR1)],
  ['__cgroup_kill cgroup_kill cgroup_kill_write', 'killed', unmarked(KILL)],
  ['ptrace_request arch_ptrace', 'killed', unmarked(KILL)],
];
const byFunction = FUNCTIONS.flatMap(([functions, cause, death]) =>
  functions.split(' ').map((frame) => [frame, cause, death] as const),
);

describe('a function on the stack shows the cause, and is the evidence', () => {
  it.each(byFunction)('%s: %s', (frame, cause, death) => {
    const verdict = classify(death(frame));
    expect(verdict.cause).toBe(cause);
    expect(verdict.evidence).toContain(`kernel stack of the signal: ${frame}`);
  });

  it.each(byFunction)('%s, with the suffix of a compiler: %s', (frame, cause, death) => {
    expect(classify(death(`${frame}.isra.0`)).cause).toBe(cause);
  });

  it.each(byFunction)('%s, which an interrupt came upon: not %s', (frame, cause, death) => {
    const { signal: sent, ...others } = death(frame);
    const interrupted = killedBy(others.status_raw, { signal: sent && { ...sent, kernel_stack: ['irq_exit', frame] } });
    expect(classify(interrupted).cause).not.toBe(cause);
    expect(classify(interrupted).evidence.join()).not.toContain('kernel stack');
  });
});

describe('the frame in the evidence', () => {
  it.each([
    ['send_sigio'],
    ['send_sigio_to_task'],
    ['kill_fasync'],
    ['kill_fasync_rcu'],
    ['__do_notify'],
    ['exit_ptrace'],
    ['do_coredump'],
    ['force_fatal_sig'],
    ['bpf_send_signal'],
    ['kill_orphaned_pgrp'],
    ['pipe_write'],
    ['anon_pipe_write'],
    ['sk_stream_error'],
  ])('%s is shown, although no cause follows from it', (frame) => {
    expect(frames.shownFrame(kernelSignal(TERM, ['send_signal_locked', `${frame}.part.0`, 'do_syscall_64']))).toBe(
      `${frame}.part.0`,
    );
  });

  it('is the innermost of several', () => {
    expect(frames.shownFrame(kernelSignal(TERM, ['kill_fasync', 'pipe_write', 'ksys_write']))).toBe('kill_fasync');
    expect(frames.has(kernelSignal(TERM, ['x', 'tty_vhangup', '__tty_hangup']), frames.HANGUP)).toBe('tty_vhangup');
  });

  it('is absent if no function is known', () => {
    expect(frames.shownFrame(kernelSignal(TERM, ['send_signal_locked', 'pipe_writev']))).toBeNull();
    expect(frames.shownFrame(kernelSignal(TERM))).toBeNull();
  });
});

describe('a signal without siginfo', () => {
  const kindWith = (...stack: string[]) =>
    classify(killedBy(TERM, { signal: noinfoSignal(TERM, { syscall: 62, kernel_stack: stack }) })).senderKind;

  it.each(['kill_something_info', 'do_tkill', 'do_send_specific', 'do_rt_sigqueueinfo', 'do_rt_tgsigqueueinfo'])(
    'in %s is sent by the process',
    (frame) => {
      expect(kindWith(frame, 'do_exit')).toBe('process');
    },
  );

  it.each([
    ...'it_real_fn send_sigqueue check_rlimit kill_fasync __do_notify do_notify_parent forget_original_parent'.split(
      ' ',
    ),
    ...'zap_pid_ns_processes out_of_memory kill_pid_usb_asyncio bpf_send_signal bpf_send_signal_thread'.split(' '),
    ...'perf_sigtrap ptrace_signal do_exit isig'.split(' '),
  ])('in %s is not, although the process called kill(2)', (frame) => {
    expect(kindWith(frame, '__x64_sys_kill')).not.toBe('process');
  });
});

describe('the entries of interrupts', () => {
  const isInterrupt = (frame: string) => frames.untilInterrupt(['f', frame, 'g']).length === 1;

  it.each([
    ...'sysvec_apic_timer_interrupt asm_sysvec_reschedule_ipi __sysvec_irq_work common_interrupt'.split(' '),
    ...'asm_common_interrupt exc_nmi asm_exc_nmi_noist asm_call_irq_on_stack asm_call_sysvec_on_stack'.split(' '),
    ...'el0_irq el1h_64_irq el0t_32_fiq_handler __el1_irq el0_interrupt call_on_irq_stack do_interrupt_handler'.split(
      ' ',
    ),
    ...'gic_handle_irq handle_IPI handle_domain_irq generic_handle_domain_irq __handle_domain_irq'.split(' '),
    ...'do_softirq __do_softirq do_softirq_own_stack handle_softirqs __softirqentry_text_start irq_exit'.split(' '),
    ...'__irq_exit_rcu run_ksoftirqd hrtimer_interrupt __hrtimer_run_queues hrtimer_run_softirq'.split(' '),
    ...'run_timer_softirq tick_sched_timer irq_work_run irq_work_run_list irq_work_single task_work_run'.split(' '),
    ...'xen_evtchn_do_upcall xen_pv_evtchn_do_upcall task_work_run.part.0'.split(' '),
  ])('%s is one', (frame) => {
    expect(isInterrupt(frame)).toBe(true);
  });

  it.each(
    'do_syscall_64 el0_svc x64_sys_call common_interrupt_return my_sysvec_x hrtimer_nanosleep task_work_add'.split(' '),
  )('%s is none', (frame) => {
    expect(isInterrupt(frame)).toBe(false);
  });
});

describe('a signal that the task sent in a system call of its own', () => {
  const inCall = (...stack: string[]) => frames.isInOwnCall(signal(TERM, { kernel_stack: ['pipe_write', ...stack] }));

  it.each([
    ...'do_syscall_64 x64_sys_call ia32_sys_call do_int80_syscall_32 do_int80_emulation do_fast_syscall_32'.split(' '),
    ...'__do_fast_syscall_32 el0_svc el0_svc_common el0_svc_common.constprop.0 invoke_syscall'.split(' '),
  ])('%s is the entry of one', (frame) => {
    expect(inCall(frame)).toBe(true);
  });

  it.each(
    'do_syscall_64_x my_do_syscall_64 do_int80_ el1_svc xdo_fast_syscall_32 do_fast_syscall_320 invoke'.split(' '),
  )('%s is not', (frame) => {
    expect(inCall(frame)).toBe(false);
  });

  it('an interrupt in it is not, nor is an empty stack', () => {
    expect(inCall('irq_exit', 'do_syscall_64')).toBe(false);
    expect(inCall('do_syscall_64', 'irq_exit')).toBe(false);
    expect(inCall()).toBe(false);
  });
});

describe('which memory ran out', () => {
  it.each<[what: string, stack: string[], scope: string]>([
    ['no frames', [], 'unknown'],
    ['other frames only', ['oom_kill_process', 'do_exit'], 'unknown'],
    ['the function of a cgroup, with the other one inlined', ['f', 'mem_cgroup_out_of_memory.isra.0'], 'cgroup'],
    ['the caller is missing', ['f', 'out_of_memory'], 'unknown'],
    ['the caller is the page allocator', ['out_of_memory.part.0', '__alloc_pages_slowpath'], 'host'],
    ['the caller is the function of a cgroup', ['out_of_memory', 'mem_cgroup_oom_synchronize'], 'cgroup'],
    ['the caller is that of an inlined one', ['out_of_memory', 'try_charge_memcg'], 'cgroup'],
    ["so is the caller's caller", ['out_of_memory', 'f', 'try_charge_memcg'], 'cgroup'],
    ['what is further out is not', ['out_of_memory', 'f', 'g', 'try_charge_memcg'], 'host'],
    [
      'what out_of_memory() called is not',
      ['mem_cgroup_scan_tasks', 'out_of_memory', 'pagefault_out_of_memory'],
      'host',
    ],
  ])('%s', (_, stack, scope) => {
    expect(frames.oomScope(stack)).toBe(scope);
  });
});
