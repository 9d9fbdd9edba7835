// SPDX-License-Identifier: Apache-2.0
// Who sent a signal, for each si_code: a table, and properties. A process is the sender only if it made a call that sends signals, whatever
// it was doing when the kernel sent one.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import { originOf } from '../../../src/core/verdict/origin.ts';
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
} from '../../../src/core/verdict/syscalls.ts';
import type { Signal } from '../../../src/core/wire/event.ts';
import { actor, fault, itself, killedBy, signal } from '../../support/deadly.ts';

const RUNS = 10_000;
const [HUP, INT, KILL, USR1, SEGV, ALRM, TERM, CHLD, XCPU, VTALRM, PROF, IO] = [
  1, 2, 9, 10, 11, 14, 15, 17, 24, 26, 27, 29,
];
const [X86_64, I386, ARM64, ARM] = [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM];
const [SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO, SI_TKILL, SI_DETHREAD, SI_ASYNCNL] = [-2, -3, -4, -5, -6, -7, -60];

/** The calls that send signals, by the table of each architecture: written down again, independently of the code under test. */
const SENDING: ReadonlyMap<number, readonly number[]> = new Map([
  [X86_64, [62, 200, 234, 129, 297, 424, 0x40000000 + 524, 0x40000000 + 536]],
  [I386, [37, 238, 270, 178, 335, 424]],
  [ARM64, [129, 130, 131, 138, 240, 424]],
  [ARM, [37, 238, 268, 178, 363, 424]],
]);
const QUEUEING: ReadonlyMap<number, readonly number[]> = new Map([
  [X86_64, [129, 297, 424, 0x40000000 + 524, 0x40000000 + 536]],
  [I386, [178, 335, 424]],
  [ARM64, [138, 240, 424]],
  [ARM, [178, 363, 424]],
]);

/** Stacks as 6.18 and 5.10 show them, innermost first: what sends the signal, then what led there. */
const QUEUED = [
  '__send_signal_locked',
  'do_send_sig_info',
  'do_rt_sigqueueinfo',
  '__x64_sys_rt_sigqueueinfo',
  'do_syscall_64',
];
const TIMER_IRQ = [
  'posixtimer_send_sigqueue',
  'posix_timer_fn',
  '__hrtimer_run_queues',
  'hrtimer_interrupt',
  '__sysvec_apic_timer_interrupt',
  'sysvec_apic_timer_interrupt',
  'asm_sysvec_apic_timer_interrupt',
];
const FASYNC = ['send_sigio_to_task', 'send_sigio', 'kill_fasync'];
const IN_PIPE_WRITE = [...FASYNC, 'anon_pipe_write', 'vfs_write', 'ksys_write', 'do_syscall_64'];
const IN_SOFTIRQ = [...FASYNC, 'sock_wake_async', '__udp_enqueue_schedule_skb', '__do_softirq', 'do_softirq'];
const MQ = ['__do_notify', 'do_mq_timedsend', '__x64_sys_mq_timedsend', 'do_syscall_64'];

const by = (signo: number, changes: Partial<Signal>) => originOf(signal(signo, changes), killedBy(signo));

describe('each si_code, while an innocent process is in a system call', () => {
  it.each([
    ['SI_TIMER in pselect6, whose number is tgkill on i386', USR1, { code: SI_TIMER, syscall: 270, kernel_stack: TIMER_IRQ }],
    ['SI_TIMER in tgkill of i386', USR1, { code: SI_TIMER, syscall: 270, syscall_arch: I386, kernel_stack: TIMER_IRQ }],
    ['SI_TIMER that interrupts rt_sigqueueinfo', TERM, { code: SI_TIMER, syscall: 129, kernel_stack: [...TIMER_IRQ, ...QUEUED] }],
    ['SI_TIMER without a stack, in pselect6', KILL, { code: SI_TIMER, syscall: 270, kernel_stack: [] }],
    ['SI_TIMER of a CPU clock, when rt_sigqueueinfo has returned', KILL,
      { code: SI_TIMER, syscall: 129, kernel_stack: ['cpu_timer_fire', 'posix_cpu_timers_work', 'task_work_run', 'do_syscall_64'] }],
    ['SI_TIMER of a CPU clock on arm64', KILL,
      { code: SI_TIMER, syscall: 138, syscall_arch: ARM64, kernel_stack: ['send_sigqueue', 'posix_cpu_timers_work', 'task_work_run', 'do_notify_resume', 'el0_svc'] }],
    ['SI_MESGQ', TERM, { code: SI_MESGQ, syscall: 242, kernel_stack: MQ }],
    ['SI_MESGQ of a 32-bit task, in a number that is rt_sigqueueinfo elsewhere', TERM, { code: SI_MESGQ, syscall: 279, syscall_arch: I386, kernel_stack: MQ }],
    ['SI_ASYNCIO', USR1, { code: SI_ASYNCIO, syscall: 129, kernel_stack: ['kill_pid_usb_asyncio', 'async_completed', '__usb_hcd_giveback_urb'] }],
    ['SI_SIGIO', SEGV, { code: SI_SIGIO, syscall: 1, kernel_stack: IN_PIPE_WRITE }],
    ['POLL_IN for SIGIO', IO, { code: 1, syscall: 1, kernel_stack: IN_PIPE_WRITE }],
    ['POLL_IN for SIGALRM', ALRM, { code: 1, syscall: 62, kernel_stack: IN_SOFTIRQ }],
    ['POLL_HUP for SIGTERM, without a stack', TERM, { code: 6, syscall: 62, kernel_stack: [] }],
    ['CLD_EXITED for the signal that clone(2) chose', TERM, { code: 1, syscall: 231, sender: actor({ exiting: true }), kernel_stack: ['do_notify_parent', 'do_exit'] }],
    ['SEGV_MAPERR', SEGV, { code: 1, syscall: 62 }],
    ['TRAP_PERF', 5, { code: 6, syscall: 129, kernel_stack: QUEUED }],
    ['BUS_MCEERR_AO', 7, { code: 5, syscall: 62 }],
    ['SYS_SECCOMP', 31, { code: 1, syscall: 62 }],
    ['SI_KERNEL with a siginfo', TERM, { code: 128, syscall: 62 }],
    ['SI_KERNEL without one', TERM, { info: 'kernel' as const, code: 128, syscall: 62 }],
  ])('%s: from the kernel', (_, signo, changes) => {
    expect(by(signo, { siginfo_pid: null, ...changes })).toBe('kernel');
  }); // biome-ignore format: a table

  it.each([-1, SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO, SI_DETHREAD, SI_ASYNCNL, -100])(
    'code %i, forged with rt_sigqueueinfo: the process that made the call',
    (code) => {
      expect(by(TERM, { code, syscall: 129, kernel_stack: QUEUED })).toBe('process');
      expect(by(TERM, { code, syscall: 129, kernel_stack: QUEUED, sender: itself() })).toBe('self');
      const compat = ['do_rt_tgsigqueueinfo', '__ia32_compat_sys_rt_tgsigqueueinfo', 'do_int80_emulation'];
      expect(by(TERM, { code, syscall: 335, syscall_arch: I386, kernel_stack: compat })).toBe('process');
    },
  );

  it('the call of pidfd_send_signal and the others in their inlined forms', () => {
    for (const frame of [
      '__do_sys_pidfd_send_signal',
      '__x64_sys_pidfd_send_signal.isra.0',
      '__arm64_compat_sys_rt_sigqueueinfo',
    ])
      expect(by(TERM, { code: SI_TIMER, syscall: 424, kernel_stack: ['kill_pid_info', frame] })).toBe('process');
  });

  it.each([SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO])(
    'code %i in rt_sigqueueinfo without a stack: not known, as a timer may have interrupted it',
    (code) => {
      expect(by(TERM, { code, syscall: 129, kernel_stack: [] })).toBe('unknown');
      expect(by(TERM, { code, syscall: null, syscall_arch: null, kernel_stack: [] })).toBe('unknown');
      expect(by(TERM, { code, syscall: null, syscall_arch: null, kernel_stack: TIMER_IRQ })).toBe('kernel');
    },
  );

  it.each([0, -1, SI_TKILL])('code %i in a call that sends no signals: not known', (code) => {
    expect(by(TERM, { code, syscall: 62 })).toBe('process');
    expect(by(TERM, { code, syscall: 37 })).toBe('unknown');
    expect(by(TERM, { code, syscall: 62, syscall_arch: I386 })).toBe('unknown');
    expect(by(TERM, { code, syscall: 37, syscall_arch: I386 })).toBe('process');
    expect(by(TERM, { code, syscall: 999, syscall_arch: null })).toBe('process');
  });

  it('a positive code in a call to itself: the process itself', () => {
    for (const code of [1, 6, 128]) {
      expect(by(TERM, { code, syscall: 129, kernel_stack: QUEUED, sender: itself() })).toBe('self');
      expect(by(TERM, { code, syscall: 129, kernel_stack: QUEUED })).toBe('kernel');
    }
  });

  it('no siginfo, on kernels before 4.17: the sender if the stack has the call', () => {
    const changes = { info: 'noinfo', code: 0, siginfo_pid: null, syscall: null, syscall_arch: null } as const;
    for (const call of ['SyS_kill', 'sys_kill', 'compat_SyS_kill'])
      expect(by(TERM, { ...changes, kernel_stack: ['group_send_sig_info', call] })).toBe('process');
    for (const other of ['sys_close', 'xsys_kill', 'sys_kill+0x12', 'compat_sys_'])
      expect(by(TERM, { ...changes, kernel_stack: ['group_send_sig_info', other] })).toBe('unknown');
    expect(by(TERM, { ...changes, kernel_stack: ['it_real_fn', 'SyS_kill'] })).not.toBe('process');
  });

  it('no siginfo, while an interrupt came upon kill(2): not known', () => {
    const changes = { info: 'noinfo', code: 0, siginfo_pid: null, syscall: 62 } as const;
    expect(by(TERM, { ...changes, kernel_stack: ['asm_sysvec_reschedule_ipi', '__x64_sys_kill'] })).toBe('unknown');
    expect(by(TERM, { ...changes, kernel_stack: ['kill_something_info', '__x64_sys_kill'] })).toBe('process');
    expect(by(TERM, { ...changes, syscall_arch: I386, kernel_stack: [] })).toBe('unknown');
  });

  it('cgroup.kill, by the table of the writer', () => {
    const changes = { info: 'noinfo', code: 0, siginfo_pid: null, group: false } as const;
    expect(by(KILL, { ...changes, syscall: 4, syscall_arch: I386 })).toBe('process');
    expect(by(KILL, { ...changes, syscall: 4 })).toBe('unknown'); // stat(2) of x86-64
    expect(by(KILL, { ...changes, syscall: 1, kernel_stack: ['vfs_write', '__x64_sys_write'] })).toBe('unknown');
  });
});

describe('what the kernel notified a process of', () => {
  const evidence = (signo: number, changes: Partial<Signal>) =>
    classify(killedBy(signo, { signal: signal(signo, { siginfo_pid: null, ...changes }) })).evidence.join('\n');

  it.each([
    ['a queue', TERM, { code: SI_MESGQ, syscall: 242, kernel_stack: MQ },
      'a notification of a message queue (mq_notify), triggered by bash (pid 99) in mq_timedsend(2): not the sender'],
    ['a queue, without a stack', TERM, { code: SI_MESGQ, syscall: 242 },
      'a notification of a message queue (mq_notify), triggered by bash (pid 99) in mq_timedsend(2): not the sender'],
    ['a pipe', ALRM, { code: 1, syscall: 1, kernel_stack: IN_PIPE_WRITE },
      'a notification of a descriptor (F_SETSIG), POLL_IN, triggered by bash (pid 99) in write(2): not the sender'],
    ['its own pipe', IO, { code: 2, syscall: 0, kernel_stack: [...FASYNC, 'pipe_read', 'ksys_read', 'do_syscall_64'], sender: itself() },
      'a notification of a descriptor (F_SETSIG), POLL_OUT, triggered by the process itself in read(2): not the sender'],
    ['a socket', HUP, { code: 1, syscall: 62, kernel_stack: IN_SOFTIRQ },
      'a notification of a descriptor (F_SETSIG), POLL_IN, generated while bash (pid 99) was running: not necessarily what triggered it'],
    ['a descriptor without F_SETSIG', IO, { info: 'kernel' as const, code: 128 },
      'a notification of a descriptor (O_ASYNC), generated while bash (pid 99) was running: not necessarily what triggered it'],
    ['a child', TERM, { code: 1, sender: actor({ exiting: true }), kernel_stack: ['do_notify_parent', 'do_exit'] },
      'a notification of the end of a child, by the signal that clone(2) chose, triggered by bash (pid 99): not the sender'],
    ['a USB device', USR1, { code: SI_ASYNCIO, syscall: 1, kernel_stack: ['kill_pid_usb_asyncio'] }, 'a notification of a transfer to or from a USB device'],
  ])('%s', (_, signo, changes, expected) => {
    expect(evidence(signo, changes)).toContain(expected);
  }); // biome-ignore format: a table

  it.each([HUP, INT, ALRM, VTALRM, PROF, XCPU, KILL])(
    'signal %i of a descriptor is not taken for that of a terminal, timer or limit',
    (signo) => {
      const { cause, sender } = classify(
        killedBy(signo, {
          oom_victim: true,
          signal: signal(signo, { code: 1, syscall: 1, kernel_stack: IN_PIPE_WRITE }),
        }),
      );
      expect([cause, sender]).toEqual(['kernel', null]);
    },
  );

  it('the end of a child is not taken for a fault, if clone(2) chose SIGSEGV', () => {
    const child = actor({ exiting: true, comm: 'child' });
    const exitSignal = signal(SEGV, {
      code: 1,
      syscall: 231,
      sender: child,
      kernel_stack: ['do_notify_parent', 'do_exit'],
    });
    const { cause, evidence } = classify(killedBy(SEGV, { signal: exitSignal, fault: fault(SEGV, 1) }));
    expect([cause, evidence.join('\n').includes('the end of a child')]).toEqual(['kernel', true]);
  });

  it('a timer of a CPU clock is not taken for a CPU time limit, and no process triggered it', () => {
    const kernel_stack = ['cpu_timer_fire', 'posix_cpu_timers_work', 'task_work_run'];
    const verdict = classify(killedBy(KILL, { signal: signal(KILL, { code: SI_TIMER, syscall: 0, kernel_stack }) }));
    expect([verdict.cause, verdict.evidence.join('\n').includes('triggered')]).toEqual(['timer', false]);
  });

  it('a timer that interrupts the out-of-memory killer is a timer', () => {
    const kernel_stack = [...TIMER_IRQ, 'oom_kill_process', 'out_of_memory', 'asm_exc_page_fault'];
    expect(classify(killedBy(KILL, { signal: signal(KILL, { code: SI_TIMER, kernel_stack }) })).cause).toBe('timer');
  });
});

// Properties.

const arch = fc.constantFrom(null, X86_64, I386, ARM64, ARM);
const NUMBERS = [...SENDING.values()].flat();
const number = fc.oneof(fc.constant(null), fc.constantFrom(...NUMBERS, 1, 4, 101, 26, 231, 270, 271), fc.nat(600));
const anySignal = fc.oneof(
  fc.constantFrom(HUP, INT, KILL, USR1, SEGV, ALRM, TERM, CHLD, XCPU, VTALRM, PROF, IO),
  fc.integer({ min: 1, max: 64 }),
);
const anyCode = fc.oneof(
  fc.constantFrom(0, -1, SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO, SI_TKILL, SI_DETHREAD, SI_ASYNCNL, 128),
  fc.integer({ min: 1, max: 12 }),
  fc.integer({ min: -128, max: 200 }),
);
const SENDERS_FRAMES = [
  ...QUEUED,
  'kill_something_info',
  '__x64_sys_kill',
  'do_tkill',
  '__ia32_sys_tgkill',
  '__arm64_sys_kill',
  '__x64_sys_ptrace',
  'ptrace_request',
  'cgroup_kill_write',
  '__x64_sys_pidfd_send_signal',
];
const anyStack = fc.array(
  fc.constantFrom(
    ...SENDERS_FRAMES,
    ...TIMER_IRQ,
    ...IN_PIPE_WRITE,
    ...IN_SOFTIRQ,
    ...MQ,
    'el1h_64_irq',
    'task_work_run',
    'do_exit',
    '__schedule',
    '',
  ),
  { maxLength: 20 },
);
const bystander = fc
  .record({ exiting: fc.boolean(), kthread: fc.boolean(), self: fc.boolean(), idle: fc.boolean() })
  .map(({ self, idle, ...flags }) =>
    idle ? actor({ ...flags, pid: 0, comm: 'swapper/0' }) : self ? itself(flags) : actor(flags),
  );

/** Any signal as the probes report it: the code is 0 without siginfo, and SI_KERNEL from the kernel. */
const any: fc.Arbitrary<Signal> = fc
  .record({
    signo: anySignal, info: fc.constantFrom('noinfo' as const, 'kernel' as const, 'siginfo' as const), code: anyCode, syscall: number,
    syscall_arch: arch, kernel_stack: anyStack, sender: bystander, group: fc.boolean(),
  })
  .map((facts) => signal(facts.signo, { ...facts, code: { noinfo: 0, kernel: 128, siginfo: facts.code }[facts.info] })); // biome-ignore format: facts

const SENDING_FRAME =
  /^(?:kill_something_info|do_tkill|do_rt_sigqueueinfo|__\w+_sys_(?:kill|tkill|tgkill|rt_(?:tg)?sigqueueinfo|pidfd_send_signal|ptrace))|^ptrace_request$|^cgroup_kill/;
const inTable = (table: ReadonlyMap<number, readonly number[]>, { syscall, syscall_arch }: Signal): boolean =>
  syscall !== null && syscall_arch !== null && (table.get(syscall_arch)?.includes(syscall) ?? false);
const PTRACE = new Map([[X86_64, [101, 0x40000000 + 521]], [I386, [26]], [ARM64, [117]], [ARM, [26]]]); // biome-ignore format: a table
const WRITES = new Map([[X86_64, [1, 18, 20, 40, 275, 296, 328]], [I386, [4, 146, 181, 187, 239, 313, 334, 379]], [ARM64, [64, 66, 68, 70, 71, 76, 287]], [ARM, [4, 146, 181, 187, 239, 340, 362, 393]]]); // biome-ignore format: a table

describe('for any signal', () => {
  it('no process is named without a call that sends signals', () => {
    fc.assert(
      fc.property(any, (each) => {
        const kind = originOf(each, killedBy(each.signo));
        if (kind !== 'process' && kind !== 'self') return;
        expect(each.info).not.toBe('kernel');
        expect(each.sender.kthread || each.sender.pid === 0).toBe(false);
        const shown = each.kernel_stack.some((frame) => SENDING_FRAME.test(frame));
        const called = inTable(SENDING, each);
        if (each.info === 'noinfo')
          expect(shown || called || inTable(PTRACE, each) || inTable(WRITES, each)).toBe(true);
        else if ([SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO].includes(each.code) || each.code > 0)
          expect(shown).toBe(true);
        else expect(called || each.syscall_arch === null).toBe(true); // before 5.15 no call is known, and the code proves it
        if (each.code > 0) expect(kind).toBe('self');
      }),
      { numRuns: RUNS },
    );
  });

  it('that the kernel made, whatever system call it interrupts or follows, no process is named', () => {
    const made = fc.constantFrom(
      ...[TIMER_IRQ, [...FASYNC, 'sock_def_readable', 'asm_common_interrupt'], ['cpu_timer_fire', 'posix_cpu_timers_work', 'task_work_run']],
      ...[['send_sigqueue', 'posix_timer_fn', 'el1h_64_irq'], ['kill_pid_usb_asyncio', 'handle_softirqs'], IN_PIPE_WRITE, MQ],
      ...[['perf_sigtrap', 'irq_work_run'], ['do_notify_parent', 'do_exit']],
    ); // biome-ignore format: stacks
    const codes = fc.oneof(fc.constantFrom(SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO), fc.integer({ min: 1, max: 200 }));
    fc.assert(
      fc.property(any, made, codes, (each, source, code) => {
        const kernels = { ...each, info: 'siginfo' as const, code, kernel_stack: [...source, ...each.kernel_stack] };
        expect(originOf(kernels, killedBy(each.signo))).toBe('kernel');
        const { sender, senderKind } = classify(killedBy(each.signo, { signal: kernels }));
        expect([sender, senderKind]).toEqual([null, 'kernel']);
      }),
      { numRuns: RUNS },
    );
  });

  it('that the kernel made, without a stack, no process is named', () => {
    fc.assert(
      fc.property(
        any,
        fc.oneof(fc.constantFrom(SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO), fc.integer({ min: 1, max: 200 })),
        (each, code) => {
          const kind = originOf({ ...each, info: 'siginfo', code, kernel_stack: [] }, killedBy(each.signo));
          expect(['kernel', 'unknown']).toContain(kind);
          // Only a call that can choose the code leaves it open.
          if (kind === 'unknown') expect(each.syscall_arch === null || inTable(QUEUEING, each)).toBe(true);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('a number is never looked up in the table of another architecture', () => {
    fc.assert(
      fc.property(
        fc.nat(600),
        fc.constantFrom(X86_64, I386, ARM64, ARM),
        fc.constantFrom(0, -1, SI_TKILL),
        (syscall, syscall_arch, code) => {
          const named = originOf(signal(TERM, { code, syscall, syscall_arch }), killedBy(TERM)) === 'process';
          expect(named).toBe(SENDING.get(syscall_arch)?.includes(syscall));
        },
      ),
      { numRuns: RUNS },
    );
  });
});
