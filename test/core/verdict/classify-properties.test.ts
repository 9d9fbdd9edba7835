// SPDX-License-Identifier: Apache-2.0
// Properties of every verdict, for any combination of facts: it has evidence, and never names a process that did not send the signal.
// classify.test.ts has the expected verdicts.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import * as frames from '../../../src/core/verdict/frames.ts';
import { signalName } from '../../../src/core/verdict/signals.ts';
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_ARM,
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
} from '../../../src/core/verdict/syscalls.ts';
import type { Verdict } from '../../../src/core/verdict/verdict.ts';
import type { Actor, Death, Fault, Signal } from '../../../src/core/wire/event.ts';
import { actor, death, END, fault, itself, oom, signal } from '../../support/deadly.ts';

const RUNS = 5_000;
const SI_KERNEL = 128;

const signo = fc.oneof(
  fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 25, 31),
  fc.integer({ min: 1, max: 64 }),
);
const code = fc.constantFrom(0, 0, -1, -2, -3, -4, -5, -6, -7, -60, 1, 2, 3, 77, SI_KERNEL);
const syscall = fc.oneof(
  fc.constant(null),
  fc.constantFrom(1, 4, 20, 37, 62, 101, 129, 200, 234, 297, 424),
  fc.nat(500),
);
const syscallArch = fc.constantFrom(null, AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM);
const frame = fc.constantFrom(
  ...[frames.OOM, frames.NAMESPACE_EXIT, frames.PARENT_DEATH, frames.CPU_LIMIT, frames.TIMER, frames.HANGUP].flatMap(
    (set) => [...set],
  ),
  ...[frames.ORPHANED, frames.TERMINAL, frames.CGROUP_KILL].flatMap((set) => [...set]),
  'posix_cpu_timers_work.isra.0',
  'do_exit',
);
const time = fc.bigInt(END - 700_000_000_000n, END);

const sender: fc.Arbitrary<Actor> = fc
  .record({
    who: fc.constantFrom(
      actor(),
      itself(),
      actor({ pid: 0, tid: 0, comm: 'swapper/1' }),
      itself({ start_boottime_ns: 1n }),
    ),
    exiting: fc.boolean(),
    kthread: fc.boolean(),
  })
  .map(({ who, exiting, kthread }) => ({ ...who, exiting, kthread }));

/** As the probes report it: the code is 0 without siginfo, and SI_KERNEL from the kernel. */
const anySignal = (number: fc.Arbitrary<number>): fc.Arbitrary<Signal> =>
  fc
    .record({
      signo: number,
      info: fc.constantFrom('noinfo' as const, 'kernel' as const, 'siginfo' as const),
      code,
      syscall,
      syscall_arch: syscallArch,
      sender,
      result: fc.constantFrom(0, 1, 4),
      action: fc.constantFrom('default' as const, 'ignored' as const, 'handled' as const),
      committed: fc.boolean(),
      group: fc.boolean(),
      time_ns: time,
      kernel_stack: fc.array(frame, { maxLength: 3 }),
    })
    .map((facts) =>
      signal(facts.signo, { ...facts, code: { noinfo: 0, kernel: SI_KERNEL, siginfo: facts.code }[facts.info] }),
    );

const anyFault: fc.Arbitrary<Fault> = fc
  .record({
    signo,
    code: fc.constantFrom(1, 2, 3, SI_KERNEL),
    trap_nr: fc.constantFrom(null, 0, 3, 13, 14),
    address: fc.constantFrom(null, '0x0', '0xbeef'),
    syscall: fc.constantFrom(null, 39),
    time_ns: time,
  })
  .map((facts) => fault(facts.signo, facts.code, facts));

const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null });

const anyDeath: fc.Arbitrary<Death> = signo.chain((number) =>
  fc
    .record({
      status_raw: fc.oneof(
        fc.constantFrom(number, number, number | 0x80),
        fc.nat(255).map((exit) => exit << 8),
      ),
      signal: orNull(anySignal(fc.oneof(fc.constant(number), fc.constant(number), signo))),
      request: orNull(anySignal(fc.oneof(fc.constant(number), signo))),
      fault: orNull(anyFault),
      handled_fault: orNull(anyFault),
      oom: orNull(fc.constantFrom(oom(), oom({ cgroup: null, limit: null }))),
      oom_victim: fc.boolean(),
      seccomp_mode: fc.constantFrom(0, 1, 2, 3),
      pdeath_signal: fc.oneof(fc.constant(0), fc.constant(number), signo),
      ptraced: fc.boolean(),
      shrunk: fc.boolean(),
      facts_refused: fc.boolean(),
    })
    .map(death),
);

/** kernel/signal.c: no process sent this signal, whichever task was running. */
const isFromKernel = ({ info, code: siCode, sender: ran }: Signal): boolean =>
  info === 'kernel' ||
  siCode === SI_KERNEL ||
  (info === 'siginfo' && siCode > 0) ||
  (info === 'noinfo' && ran.exiting) ||
  ran.kthread ||
  ran.pid === 0;

function holds(property: (verdict: Verdict, death: Death) => void): void {
  fc.assert(
    fc.property(anyDeath, (any) => property(classify(any), any)),
    { numRuns: RUNS },
  );
}

describe('for any combination of facts', () => {
  it('there is a verdict, and evidence for it', () => {
    holds(({ cause, evidence }) => {
      expect(cause).not.toBe('');
      expect(evidence.length).toBeGreaterThan(0);
      for (const line of evidence) expect(line.trim()).not.toBe('');
    });
  });

  it('no process is named as the sender of a signal from the kernel', () => {
    holds((verdict) => {
      if (verdict.senderKind !== 'process') return;
      expect(verdict.signal).not.toBeNull();
      expect(isFromKernel(verdict.signal as Signal)).toBe(false);
    });
  });

  it('a sender is named if and only if it is another process, and it is the task of a recorded signal', () => {
    holds((verdict, { process, signal: fatal, request }) => {
      expect(verdict.sender !== null).toBe(verdict.senderKind === 'process');
      if (verdict.sender === null) return;
      expect([fatal?.sender, request?.sender]).toContain(verdict.sender);
      const same = verdict.sender.pid === process.pid && verdict.sender.start_boottime_ns === process.start_boottime_ns;
      expect(same).toBe(false);
    });
  });

  it('the cause is `killed` if and only if a signal terminated the process and the sender is known', () => {
    holds((verdict) => {
      if (verdict.exitCode === null) expect(verdict.cause === 'killed').toBe(verdict.senderKind === 'process');
      else if (verdict.exitCode !== 0 || verdict.signal === null) expect(verdict.cause).toBe('exit');
      else expect(verdict.cause).toBe('graceful_stop');
    });
  });

  it('the status is that of wait(2)', () => {
    holds((verdict, { status_raw: status }) => {
      const number = status & 0x7f;
      expect(verdict.signo).toBe(number);
      expect(verdict.exitCode).toBe(number === 0 ? status >> 8 : null);
      expect(verdict.coreDumped).toBe((status & 0x80) !== 0);
      if (status === 0) expect(verdict.errorType).toBeNull();
      else if (verdict.cause === 'exit') expect(verdict.errorType).toBe(String(status >> 8));
      else expect(verdict.errorType).toBe(verdict.cause === 'oom_kill' ? 'oom_kill' : signalName(number));
    });
  });

  it('only SIGKILL is an out-of-memory kill or a namespace exit, and only a signal of a processor exception is a fault', () => {
    holds(({ cause, signo: number }) => {
      if (cause === 'oom_kill' || cause === 'namespace_exit') expect(number).toBe(9);
      if (cause === 'fault') expect([4, 5, 7, 8, 11]).toContain(number);
      if (cause === 'abort') expect(number).toBe(6);
    });
  });

  it('the reported signal has the number of the status', () => {
    holds((verdict) => {
      if (verdict.exitCode === null && verdict.signal !== null) expect(verdict.signal.signo).toBe(verdict.signo);
    });
  });
});
