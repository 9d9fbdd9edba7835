// SPDX-License-Identifier: Apache-2.0
// Whether the task that ran made the call that sent the signal: by the code, the stack, and the number in the table of the task.
import { describe, expect, it } from 'vitest';
import { type Call, callThatSent, isCodeOfCall, syscallOf } from '../../../src/core/verdict/calls.ts';
import { AUDIT_ARCH_I386 } from '../../../src/core/verdict/syscalls.ts';
import type { Signal } from '../../../src/core/wire/event.ts';
import { kernelSignal, noinfoSignal, signal } from '../../support/deadly.ts';

const [KILL, TERM] = [9, 15];
const [SI_QUEUE, SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO, SI_TKILL] = [-1, -2, -3, -4, -5, -6];

it.each([
  [0, true],
  [SI_QUEUE, true],
  [SI_TKILL, true],
  [-7, true],
  [-60, true],
  [SI_TIMER, false],
  [SI_MESGQ, false],
  [SI_ASYNCIO, false],
  [SI_SIGIO, false],
  [1, false],
  [128, false],
])('code %i comes from a call alone: %s', (code, expected) => {
  expect(isCodeOfCall(code)).toBe(expected);
});

describe('the system call of a frame', () => {
  it.each([
    ['__x64_sys_kill', 'kill'],
    ['__ia32_sys_tgkill', 'tgkill'],
    ['__ia32_compat_sys_rt_sigqueueinfo', 'rt_sigqueueinfo'],
    ['__x32_compat_sys_rt_sigqueueinfo', 'rt_sigqueueinfo'],
    ['__arm64_sys_kill', 'kill'],
    ['__se_sys_tkill', 'tkill'],
    ['__do_sys_pidfd_send_signal', 'pidfd_send_signal'],
    ['__x64_sys_kill.cold', 'kill'],
    ['__mips_sys_kill', null],
    ['sys_kill', null],
    ['x__x64_sys_kill', null],
    ['__x64_sys_', null],
    ['__x64_sys_kill+0x12', null],
    ['kill_something_info', null],
  ])('%s: %s', (frame, call) => {
    expect(syscallOf(frame)).toBe(call);
  });
});

describe('by the number alone', () => {
  const sent = (changes: Partial<Signal>) => callThatSent(signal(TERM, changes));
  const unmarked = (changes: Partial<Signal>) => callThatSent(noinfoSignal(TERM, changes));
  const written = (changes: Partial<Signal>) => callThatSent(noinfoSignal(KILL, { group: false, ...changes }));

  it.each([
    [62, 'kill'],
    [200, 'tkill'],
    [234, 'tgkill'],
    [129, 'rt_sigqueueinfo'],
    [297, 'rt_tgsigqueueinfo'],
    [424, 'pidfd_send_signal'],
  ])('%i (%s) sends signals, with and without siginfo', (syscall) => {
    expect([sent({ syscall }), unmarked({ syscall })]).toEqual(['shown', 'shown']);
  });

  it('ptrace sends SIGKILL without siginfo, and no others', () => {
    expect([sent({ syscall: 101 }), unmarked({ syscall: 101 })]).toEqual(['excluded', 'shown']);
  });

  it.each<[string, Partial<Signal>]>([
    ['write', { syscall: 1 }],
    ['writev', { syscall: 20 }],
    ['pwrite64', { syscall: 18 }],
    ['pwritev', { syscall: 296 }],
    ['pwritev2', { syscall: 328 }],
    ['sendfile', { syscall: 40 }],
    ['sendfile64 of i386', { syscall: 239, syscall_arch: AUDIT_ARCH_I386 }],
    ['splice', { syscall: 275 }],
  ])('%s writes to cgroup.kill, which sends SIGKILL to one task and nothing else', (_, changes) => {
    expect(written(changes)).toBe('shown');
    expect(written({ ...changes, group: true })).toBe('excluded');
    expect(unmarked({ ...changes, group: false })).toBe('excluded');
    expect(written({ ...changes, kernel_stack: ['vfs_write'] })).toBe('excluded');
  });

  it.each<[what: string, call: Call, sent: Signal]>([
    ['a code of a call, in another call', 'excluded', signal(TERM, { syscall: 0 })],
    ['a code of a call, in none', 'excluded', signal(TERM, { syscall: null })],
    ['a code of a call, and the table is not known', 'shown', signal(TERM, { syscall: 0, syscall_arch: null })],
    ['SI_TIMER in a call that can choose it', 'not known', signal(TERM, { code: SI_TIMER, syscall: 129 })],
    ['SI_TIMER in kill(2), which cannot', 'excluded', signal(TERM, { code: SI_TIMER, syscall: 62 })],
    ['SI_TIMER, and the table is not known', 'not known', signal(TERM, { code: SI_TIMER, syscall_arch: null })],
    ['a positive code in a call that can choose it', 'excluded', signal(TERM, { code: 1, syscall: 129 })],
    ['from the kernel, whatever the call', 'excluded', kernelSignal(TERM, ['do_tkill'], { syscall: 62 })],
    ['no siginfo in read(2)', 'excluded', noinfoSignal(TERM, { syscall: 0 })],
    ['no siginfo, and the table is not known', 'excluded', noinfoSignal(TERM, { syscall: 62, syscall_arch: null })],
    [
      'no siginfo in a write whose table is not known',
      'excluded',
      noinfoSignal(KILL, { group: false, syscall: 1, syscall_arch: null }),
    ],
  ])('%s: %s', (_, call, each) => {
    expect(callThatSent(each)).toBe(call);
  });
});

describe('by the stack, from the innermost frame on', () => {
  const timer = (...kernel_stack: string[]) =>
    callThatSent(signal(TERM, { code: SI_TIMER, syscall: 129, kernel_stack }));
  const unmarked = (...kernel_stack: string[]) => callThatSent(noinfoSignal(TERM, { syscall: 0, kernel_stack }));

  it.each([
    'kill_something_info',
    'do_tkill',
    'do_send_specific',
    'do_rt_sigqueueinfo',
    'do_rt_tgsigqueueinfo',
    'do_pidfd_send_signal',
  ])('%s is only reached by a call that sends signals', (frame) => {
    expect([timer(frame), unmarked(frame)]).toEqual(['shown', 'shown']);
  });

  it.each<[what: string, stack: string[], call: Call]>([
    ['the entry of a call that sends signals', ['f', '__x64_sys_rt_sigqueueinfo'], 'shown'],
    ['the entry of another call', ['f', '__x64_sys_read', '__x64_sys_rt_sigqueueinfo'], 'excluded'],
    ['a source of signals in the kernel', ['posix_timer_fn', '__x64_sys_rt_sigqueueinfo'], 'excluded'],
    ['a source of signals behind the call', ['__x64_sys_rt_sigqueueinfo', 'posix_timer_fn'], 'shown'],
    ['an interrupt', ['f', 'irq_exit', '__x64_sys_rt_sigqueueinfo'], 'excluded'],
    ['frames that say nothing', ['f', 'g'], 'not known'],
    ['ptrace, which sends no signal with siginfo', ['__x64_sys_ptrace'], 'excluded'],
    ['cgroup.kill, which sends none either', ['cgroup_kill_write'], 'not known'],
  ])('%s', (_, stack, call) => {
    expect(timer(...stack)).toBe(call);
  });

  it.each<[what: string, stack: string[], call: Call]>([
    ['ptrace', ['__x64_sys_ptrace'], 'shown'],
    ['the functions of ptrace', ['ptrace_request'], 'shown'],
    ['cgroup.kill', ['cgroup_kill_write'], 'shown'],
    ['an interrupt', ['f', 'irq_exit', 'cgroup_kill_write'], 'excluded'],
    ['the exit of a task', ['do_exit', '__x64_sys_kill'], 'excluded'],
  ])('without siginfo: %s', (_, stack, call) => {
    expect(unmarked(...stack)).toBe(call);
  });
});
