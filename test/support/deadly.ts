// SPDX-License-Identifier: Apache-2.0
// Terminations for table tests: complete and ordinary; a test changes the fields that matter.
import { AUDIT_ARCH_X86_64 } from '../../src/core/verdict/syscalls.ts';
import type { Actor, Death, Fault, Oom, Signal, Victim } from '../../src/core/wire/event.ts';

const VICTIM_PID = 4242;
const START = 9_000_000_000n;
export const END = 12_000_000_000n;
export const OFFSET = 1_795_443_000_123_456_789n;

export function victim(changes: Partial<Victim> = {}): Victim {
  return {
    pid: VICTIM_PID,
    vpid: VICTIM_PID,
    start_boottime_ns: START,
    parent_pid: 99,
    tid: VICTIM_PID,
    thread_comm: 'sleep',
    comm: 'sleep',
    uid: 1000,
    gid: 1000,
    real_uid: null,
    login_uid: null,
    session: null,
    exe: '/usr/bin/sleep',
    exe_flags: [],
    build_id: null,
    go_build_id: null,
    otel_context: null,
    args: ['sleep', '100'],
    args_truncated: false,
    env: {},
    cgroup: '/user.slice/user-1000.slice/session-3.scope',
    cgroup_claimed: 0,
    user_namespace: false,
    uts_hostname: null,
    ancestors: [],
    ...changes,
  };
}

/** Another process: a shell. */
export function actor(changes: Partial<Actor> = {}): Actor {
  return {
    pid: 99,
    tid: 99,
    start_boottime_ns: 5_000_000_000n,
    comm: 'bash',
    uid: 1000,
    real_uid: null,
    login_uid: null,
    session: null,
    exiting: false,
    kthread: false,
    process_lives: false,
    exe: '/usr/bin/bash',
    exe_flags: [],
    args: ['bash', '-l'],
    args_truncated: false,
    env: null,
    cgroup: null,
    cgroup_claimed: 0,
    user_namespace: false,
    uts_hostname: null,
    ancestors: [
      { pid: 80, comm: 'sshd' },
      { pid: 1, comm: 'systemd' },
    ],
    ...changes,
  };
}

/** The victim itself as `current`. */
export function itself(changes: Partial<Actor> = {}): Actor {
  return actor({
    pid: VICTIM_PID,
    tid: VICTIM_PID,
    start_boottime_ns: START,
    comm: 'sleep',
    exe: null,
    args: null,
    ...changes,
  });
}

/** kill(2) by the shell, with siginfo. */
export function signal(signo: number, changes: Partial<Signal> = {}): Signal {
  return {
    signo,
    code: 0,
    info: 'siginfo',
    siginfo_pid: 99,
    siginfo_uid: 1000,
    result: 0,
    action: 'default',
    committed: true,
    group: true,
    victim_stopped: false,
    target_tid: VICTIM_PID,
    time_ns: END - 1_000_000n,
    syscall: 62,
    syscall_arch: AUDIT_ARCH_X86_64,
    sender: actor(),
    kernel_stack: [],
    ...changes,
  };
}

/** From the kernel (SEND_SIG_PRIV), while an uninvolved process was `current`. */
export function kernelSignal(signo: number, kernelStack: string[] = [], changes: Partial<Signal> = {}): Signal {
  const base = { code: 128, info: 'kernel', siginfo_pid: null, siginfo_uid: null, syscall: null } as const;
  return signal(signo, { ...base, kernel_stack: kernelStack, ...changes });
}

/** Without siginfo (SEND_SIG_NOINFO). */
export function noinfoSignal(signo: number, changes: Partial<Signal> = {}): Signal {
  return signal(signo, { code: 0, info: 'noinfo', siginfo_pid: null, siginfo_uid: null, syscall: null, ...changes });
}

export function fault(signo: number, code: number, changes: Partial<Fault> = {}): Fault {
  return {
    signo,
    code,
    address: '0xbeef',
    instruction_pointer: '0x401136',
    stack_pointer: '0x7ffc00001000',
    tid: VICTIM_PID,
    thread_comm: 'sleep',
    trap_nr: 14,
    error_code: 6,
    syscall: null,
    syscall_arch: null,
    time_ns: END - 1_000_000n,
    ...changes,
  };
}

export function oom(changes: Partial<Oom> = {}): Oom {
  return {
    total_vm: 104_857_600n,
    anon_rss: 33_554_432n,
    file_rss: 1_048_576n,
    shmem_rss: 0n,
    score_adj: 0,
    cgroup: '/demo',
    limit: 33_554_432n,
    time_ns: END - 500_000n,
    ...changes,
  };
}

/** A termination by this signal. */
export function killedBy(signo: number, changes: Partial<Death> = {}): Death {
  return death({ status_raw: signo, ...changes });
}

export function exitedWith(code: number, changes: Partial<Death> = {}): Death {
  return death({ status_raw: code << 8, ...changes });
}

export function death(changes: Partial<Death> = {}): Death {
  return {
    type: 'death',
    seq: 4096n,
    time_ns: END,
    clock_offset_ns: OFFSET,
    status_raw: 256,
    origin: { cgroup: 2113n, uid: 1000 },
    process: victim(),
    signal: null,
    request: null,
    stop: null,
    fault: null,
    handled_fault: null,
    oom: null,
    oom_victim: false,
    seccomp_mode: 0,
    pdeath_signal: 0,
    ptraced: false,
    threads: 1,
    shrunk: false,
    facts_refused: false,
    thread_context: null,
    repeat: null,
    crash: null,
    ...changes,
  };
}
