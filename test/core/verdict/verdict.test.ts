// SPDX-License-Identifier: Apache-2.0
// Whole verdicts: every field of them.
import { describe, expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import type { Verdict } from '../../../src/core/verdict/verdict.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import {
  END,
  exitedWith,
  fault,
  itself,
  kernelSignal,
  killedBy,
  OFFSET,
  oom,
  signal,
  victim,
} from '../../support/deadly.ts';

const X86_64 = 0xc000003e;
const [HUP, ABRT, FPE, KILL, SEGV, TERM, SYS] = [1, 6, 8, 9, 11, 15, 31];

/** What does not depend on the cause: the process ran for three seconds. */
const TIMES = { endedNs: END + OFFSET, uptimeNs: 3_000_000_000n };
const EXITED = {
  ...TIMES,
  cause: 'exit',
  signo: 0,
  coreDumped: false,
  signal: null,
  signalToExitNs: null,
  disposition: null,
  senderKind: null,
  sender: null,
  fault: null,
  trigger: null,
  stop: null,
  refusedCall: null,
  oomScope: null,
  oomGroup: null,
  oom: null,
  thread: null,
  traced: false,
} as const;
const KILLED = { ...EXITED, exitCode: null, disposition: 'default' } as const;

const term = signal(TERM, { action: 'handled', committed: false, time_ns: END - 5_000n });
const reload = signal(HUP, { action: 'handled', committed: false, time_ns: END - 300_000_000_000n });
const kill = signal(KILL, { time_ns: END - 7_000n });
const oomKill = kernelSignal(KILL, ['out_of_memory', 'mem_cgroup_out_of_memory'], { time_ns: END - 9_000n });
const sizes = oom();
const segv = fault(SEGV, 1, { tid: 4300, thread_comm: 'worker' });
const refused = fault(SYS, 1, { syscall: 101, syscall_arch: X86_64, address: null, tid: 4301, thread_comm: 'worker' });

describe('a whole verdict', () => {
  it.each<[what: string, death: Death, verdict: Verdict]>([
    ['an exit', exitedWith(3), { ...EXITED, errorType: '3', exitCode: 3, evidence: ['it exited with code 3'] }],
    [
      'an exit with code 0',
      exitedWith(0),
      { ...EXITED, errorType: null, exitCode: 0, evidence: ['it exited with code 0'] },
    ],
    [
      'an exit with code 0, five minutes after a SIGHUP, which may have asked for a reload',
      exitedWith(0, { request: reload }),
      {
        ...EXITED,
        errorType: null,
        exitCode: 0,
        evidence: ['it exited with code 0', 'SIGHUP from bash (pid 99) was handled, 300.000 s before the termination'],
      },
    ],
    [
      'an exit after a handled SIGTERM',
      exitedWith(143, { request: term }),
      {
        ...EXITED,
        errorType: '143',
        exitCode: 143,
        signal: term,
        signalToExitNs: 5_000n,
        disposition: 'handled',
        senderKind: 'process',
        sender: term.sender,
        evidence: ['it exited with code 143', 'SIGTERM from bash (pid 99) was handled, 0.000 s before the termination'],
      },
    ],
    [
      'a graceful stop',
      exitedWith(0, { request: term }),
      {
        ...EXITED,
        cause: 'graceful_stop',
        errorType: null,
        exitCode: 0,
        signal: term,
        signalToExitNs: 5_000n,
        disposition: 'handled',
        senderKind: 'process',
        sender: term.sender,
        evidence: ['it exited with code 0', 'SIGTERM from bash (pid 99) was handled, 0.000 s before the termination'],
      },
    ],
    [
      'a kill',
      killedBy(KILL, { signal: kill }),
      {
        ...KILLED,
        cause: 'killed',
        errorType: 'SIGKILL',
        signo: KILL,
        signal: kill,
        signalToExitNs: 7_000n,
        senderKind: 'process',
        sender: kill.sender,
        evidence: ['sent with kill(2) by bash (pid 99), SI_USER'],
      },
    ],
    [
      'a fault, with a core dump',
      killedBy(SEGV | 0x80, { process: victim({ start_boottime_ns: END - 1n }), fault: segv }),
      {
        ...KILLED,
        uptimeNs: 1n,
        cause: 'fault',
        errorType: 'SIGSEGV',
        signo: SEGV,
        coreDumped: true,
        senderKind: 'kernel',
        fault: segv,
        thread: { tid: 4300, name: 'worker' },
        evidence: ['SIGSEGV with SEGV_MAPERR at 0xbeef, trap 14, delivered with the default action'],
      },
    ],
    [
      'a system call that seccomp refused',
      killedBy(SYS, { seccomp_mode: 3, fault: refused }),
      {
        ...KILLED,
        cause: 'seccomp',
        errorType: 'SIGSYS',
        signo: SYS,
        senderKind: 'kernel',
        fault: refused,
        refusedCall: 'ptrace',
        thread: { tid: 4301, name: 'worker' },
        evidence: ['seccomp mode of its last thread is 3 (dead)'],
      },
    ],
    [
      'the out-of-memory killer',
      killedBy(KILL, { signal: oomKill, oom: sizes, oom_victim: true }),
      {
        ...KILLED,
        cause: 'oom_kill',
        errorType: 'oom_kill',
        signo: KILL,
        signal: oomKill,
        signalToExitNs: 9_000n,
        senderKind: 'kernel',
        trigger: { act: 'asked_for_memory', task: oomKill.sender },
        oomScope: 'cgroup',
        oomGroup: false,
        oom: sizes,
        evidence: [
          'it was marked as a victim of the out-of-memory killer',
          'bash (pid 99) asked for the memory that was not there',
          'kernel stack of the signal: out_of_memory',
        ],
      },
    ],
  ])('%s', (_, death, verdict) => {
    expect(classify(death)).toEqual(verdict);
  });
});

describe('what a verdict leaves out', () => {
  const verdictOn = (death: Death) => classify(death);

  it('a fault with another cause: a handled one that is too long ago, a system call that seccomp did not refuse', () => {
    const old = fault(SEGV, 1, { time_ns: END - 120_000_000_000n });
    const verdict = verdictOn(
      killedBy(SEGV, { signal: signal(SEGV, { code: -6, sender: itself() }), handled_fault: old }),
    );
    expect([verdict.cause, verdict.fault]).toEqual(['self_signal', null]);
    expect(verdictOn(killedBy(SEGV, { fault: fault(SEGV, 1, { syscall: 101 }) })).refusedCall).toBeNull();
  });

  it('a handled fault of another signal', () => {
    const verdict = verdictOn(
      killedBy(SEGV, { signal: signal(SEGV, { code: 1, sender: itself() }), handled_fault: fault(FPE, 1) }),
    );
    expect([verdict.cause, verdict.fault]).toEqual(['fault', null]);
  });

  it('the refused call, if its number is not known', () => {
    expect(verdictOn(killedBy(SYS, { seccomp_mode: 3 })).refusedCall).toBeNull();
    expect(verdictOn(killedBy(SYS, { seccomp_mode: 3, fault: fault(SYS, 1) })).refusedCall).toBeNull();
  });

  it('the memory of a process that something else killed', () => {
    const { oom: memory, oomScope } = verdictOn(killedBy(KILL, { signal: kill, oom: sizes }));
    expect([memory, oomScope]).toEqual([null, null]);
  });

  it('the thread of another process', () => {
    const other = signal(ABRT, { sender: itself({ start_boottime_ns: 1n }) });
    expect(verdictOn(killedBy(ABRT, { signal: other })).thread).toBeNull();
    expect(verdictOn(killedBy(ABRT, { signal: signal(ABRT, { sender: itself({ pid: 1 }) }) })).thread).toBeNull();
  });
});

describe('the executable of the task that sent a signal', () => {
  const exesOf = (death: Death) => {
    const { signal: fatal } = classify(death);
    return fatal?.sender.exe;
  };

  it('is that of the process, if it is the process itself', () => {
    expect(exesOf(killedBy(ABRT, { signal: signal(ABRT, { code: -6, sender: itself() }) }))).toBe('/usr/bin/sleep');
    const request = signal(TERM, { action: 'handled', sender: itself() });
    expect(exesOf(exitedWith(1, { request }))).toBe('/usr/bin/sleep');
  });

  it('is its own, if it is another', () => {
    expect(exesOf(killedBy(KILL, { signal: kill }))).toBe('/usr/bin/bash');
    expect(exesOf(exitedWith(0, { request: term }))).toBe('/usr/bin/bash');
  });
});

it.each<[what: string, changes: Partial<Death>, scope: string]>([
  ['a cgroup without a limit', { oom: oom({ limit: null }) }, 'cgroup'],
  ['a limit without the name of its cgroup', { oom: oom({ cgroup: null }) }, 'cgroup'],
  ['neither, and the signal was not recorded', { oom: oom({ cgroup: null, limit: null }) }, 'unknown'],
  ['neither, but the frames of the signal', { signal: oomKill, oom: oom({ cgroup: null, limit: null }) }, 'cgroup'],
])('the memory that ran out: %s', (_, changes, scope) => {
  expect(classify(killedBy(KILL, { oom_victim: true, ...changes })).oomScope).toBe(scope);
});
