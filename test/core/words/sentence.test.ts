// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import type { Identities } from '../../../src/core/identity/identity.ts';
import { classify } from '../../../src/core/verdict/classify.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import { sentence } from '../../../src/core/words/sentence.ts';
import { recordOf } from '../../support/circumstances.ts';
import {
  actor,
  exitedWith,
  fault,
  itself,
  kernelSignal,
  killedBy,
  noinfoSignal,
  oom,
  signal,
} from '../../support/deadly.ts';

const own = (signo: number) => noinfoSignal(signo, { syscall: 1, sender: itself() });
const runc = actor({
  pid: 99,
  comm: 'runc',
  exe: '/usr/bin/runc',
  uid: 0,
  ancestors: [
    { pid: 8, comm: 'containerd-shim' },
    { pid: 2, comm: 'containerd' },
  ],
});

it.each<[Death, string]>([
  [
    killedBy(9, { signal: signal(9, { sender: runc }) }),
    'was killed by SIGKILL, sent by runc (pid 99, root) ← containerd-shim ← containerd, after 3.0 s.',
  ],
  [
    killedBy(15, { signal: signal(15) }),
    'was stopped by SIGTERM, sent by bash (pid 99, alice) ← sshd ← systemd, after 3.0 s.',
  ],
  [
    killedBy(9, { signal: signal(9, { sender: actor({ uid: 7, ancestors: [] }) }) }),
    'was killed by SIGKILL, sent by bash (pid 99, uid 7), after 3.0 s.',
  ],
  [
    killedBy(9, {
      signal: signal(9, { sender: actor({ ancestors: ['a', 'b', 'c', 'd'].map((comm) => ({ pid: 2, comm })) }) }),
    }),
    'was killed by SIGKILL, sent by bash (pid 99, alice) ← a ← b ← c ← …, after 3.0 s.',
  ],
  [exitedWith(3), 'exited with code 3, after 3.0 s.'],
  [
    exitedWith(139),
    'exited with code 139 (128 + 11: by convention, SIGSEGV terminated it or a child of it), after 3.0 s.',
  ],
  [
    exitedWith(130, { request: kernelSignal(2, ['isig'], { action: 'handled' }) }),
    'exited with code 130 after 3.0 s, 1 ms after it handled SIGINT.',
  ],
  [
    exitedWith(0, { request: noinfoSignal(15, { action: 'handled', syscall: null, syscall_arch: null }) }),
    'stopped gracefully after 3.0 s: it exited with code 0, 1 ms after it handled SIGTERM.',
  ],
  [
    killedBy(1, { signal: kernelSignal(1, ['__tty_hangup', 'tty_release', '__fput']) }),
    'was terminated by SIGHUP after 3.0 s: its terminal was closed by bash (pid 99, alice) ← sshd ← systemd.',
  ],
  [
    killedBy(1, {
      signal: kernelSignal(1, ['__tty_hangup', 'disassociate_ctty'], { sender: actor({ exiting: true }) }),
    }),
    'was terminated by SIGHUP after 3.0 s: the leader of its session, bash (pid 99, alice) ← sshd ← systemd, terminated.',
  ],
  [
    exitedWith(129, { request: kernelSignal(1, ['__tty_hangup', 'tty_release'], { action: 'handled' }) }),
    'exited with code 129 after 3.0 s, 1 ms after it handled SIGHUP: its terminal was closed by bash (pid 99, alice) ← sshd ← systemd.',
  ],
  [killedBy(11, { fault: fault(11, 1) }), 'crashed with SIGSEGV (SEGV_MAPERR at 0xbeef), after 3.0 s.'],
  [
    killedBy(11 | 0x80, { fault: fault(11, 128, { address: null, trap_nr: 13, tid: 1, thread_comm: 'gc' }) }),
    'crashed with SIGSEGV (SI_KERNEL) in thread gc (core dumped), after 3.0 s.',
  ],
  [killedBy(6, { signal: signal(6, { code: -6, sender: itself() }) }), 'aborted (SIGABRT), after 3.0 s.'],
  [
    killedBy(6, {
      signal: signal(6, { code: -6, sender: itself() }),
      request: signal(11, { action: 'handled', committed: false }),
    }),
    'aborted (SIGABRT) after 3.0 s, 1 ms after it handled SIGSEGV, sent by bash (pid 99, alice) ← sshd ← systemd.',
  ],
  [
    killedBy(10, { signal: signal(10, { code: -6, sender: itself() }) }),
    'terminated itself with SIGUSR1, after 3.0 s.',
  ],
  [
    killedBy(9, { signal: kernelSignal(9), oom_victim: true, oom: oom() }),
    'was killed by the out-of-memory killer after 3.0 s: cgroup /demo reached its limit of 32 MiB; it had 33 MiB.',
  ],
  [
    killedBy(9, { signal: kernelSignal(9, ['out_of_memory', '__alloc_pages']), oom_victim: true }),
    'was killed by the out-of-memory killer after 3.0 s: the machine ran out of memory, when bash (pid 99, alice) ← sshd ← systemd asked for more.',
  ],
  [killedBy(9, { signal: kernelSignal(9), oom_victim: true }), 'was killed by the out-of-memory killer after 3.0 s.'],
  [killedBy(31, { seccomp_mode: 3 }), 'was killed by seccomp (SIGSYS) after 3.0 s.'],
  [
    killedBy(24, { signal: kernelSignal(24) }),
    'was killed by SIGXCPU after 3.0 s: it reached its CPU time limit (RLIMIT_CPU, RLIMIT_RTTIME).',
  ],
  [
    killedBy(25, { signal: own(25) }),
    'was killed by SIGXFSZ after 3.0 s: a file would have grown beyond its limit (RLIMIT_FSIZE).',
  ],
  [
    killedBy(13, { signal: own(13) }),
    'was terminated by SIGPIPE after 3.0 s: it wrote to a pipe or socket without a reader.',
  ],
  [killedBy(1, { signal: kernelSignal(1) }), 'was terminated by SIGHUP after 3.0 s: its terminal was closed.'],
  [killedBy(2, { signal: kernelSignal(2) }), 'was interrupted from its terminal with SIGINT (Ctrl-C), after 3.0 s.'],
  [
    killedBy(14, { signal: kernelSignal(14) }),
    'was terminated by SIGALRM after 3.0 s: a timer that it had set expired.',
  ],
  [
    killedBy(15, { pdeath_signal: 15, signal: noinfoSignal(15, { sender: actor({ exiting: true }) }) }),
    'was killed by SIGTERM after 3.0 s: its parent, bash (pid 99, alice) ← sshd ← systemd, terminated (PR_SET_PDEATHSIG).',
  ],
  [
    killedBy(15, {
      pdeath_signal: 15,
      signal: noinfoSignal(15, { sender: actor({ exiting: true, process_lives: true }) }),
    }),
    'was killed by SIGTERM after 3.0 s: the thread of its parent, bash (pid 99, alice) ← sshd ← systemd, that started it ended (PR_SET_PDEATHSIG).',
  ],
  [
    killedBy(15, { signal: signal(15, { code: -3, syscall: 242 }) }),
    'was killed by SIGTERM from the kernel after 3.0 s: a notification of a message queue (mq_notify).',
  ],
  [
    killedBy(9, { signal: kernelSignal(9, ['zap_pid_ns_processes']) }),
    'was killed by SIGKILL after 3.0 s: the init of its pid namespace terminated.',
  ],
  [killedBy(9, { signal: kernelSignal(9) }), 'was killed by SIGKILL from the kernel, after 3.0 s.'],
  [
    killedBy(9, {
      signal: kernelSignal(9, ['exit_ptrace'], { sender: actor({ comm: 'gdb', exe: null, exiting: true }) }),
    }),
    'was killed by SIGKILL from the kernel after 3.0 s: its tracer, gdb (pid 99), terminated (PTRACE_O_EXITKILL).',
  ],
  [
    killedBy(1, { signal: kernelSignal(1, ['kill_orphaned_pgrp'], { sender: actor({ exiting: true }) }) }),
    'was killed by SIGHUP from the kernel after 3.0 s: its process group was stopped, and orphaned when bash (pid 99) terminated: no shell could continue it.',
  ],
  [
    killedBy(11, { signal: kernelSignal(11, ['force_fatal_sig'], { syscall: 59, sender: itself() }) }),
    'was killed by SIGSEGV from the kernel after 3.0 s: its execve(2) failed after the old program was gone: too little memory, or a limit (ulimit -s, -v, -d).',
  ],
  [
    killedBy(11, { signal: kernelSignal(11, ['force_fatal_sig'], { syscall: 15, sender: itself() }) }),
    'was killed by SIGSEGV from the kernel, after 3.0 s.',
  ],
  [killedBy(9), 'was killed by SIGKILL after 3.0 s; the sender is not known.'],
  [
    killedBy(15, { ptraced: true }),
    'was killed by SIGTERM after 3.0 s; the sender is not known: a tracer was attached, and may have given it the signal.',
  ],
])('sentence %#', (death, text) => {
  expect(recordOf(death).body).toBe(`sleep (pid 4242) ${text}`);
});

it.each<[string, Partial<Death>, string]>([
  ['its delivery was not recorded', { signal: signal(11, { code: 1, sender: itself() }) }, 'SIGSEGV (SEGV_MAPERR)'],
  [
    'its handler raised the signal again, without siginfo',
    { signal: noinfoSignal(11, { syscall: 62, sender: itself() }), handled_fault: fault(11, 2) },
    'SIGSEGV (SEGV_ACCERR at 0xbeef)',
  ],
])('a fault has the label of what is known: %s', (_, facts, label) => {
  expect(recordOf(killedBy(11, facts)).body).toBe(`sleep (pid 4242) crashed with ${label}, after 3.0 s.`);
});

it('a fault without siginfo has no label', () => {
  const verdict = { ...classify(killedBy(11, { fault: fault(11, 1) })), fault: null, signal: null };
  const identities = {
    victim: { name: 'sleep', pid: 4242, container: null, foreignRoot: null },
    sender: null,
    trigger: null,
  } as Identities;
  expect(sentence(verdict, identities, null, null)).toBe('sleep (pid 4242) crashed with SIGSEGV, after 3.0 s.');
});
