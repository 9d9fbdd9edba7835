// SPDX-License-Identifier: Apache-2.0
// Whether the task that ran called the kernel to send the signal. Based on kernel/signal.c: what a code proves, what the kernel stack
// shows, and the number of the system call in the task's own table. origin.ts decides by it who the sender is.
import type { Signal } from '../wire/event.ts';
import { CGROUP_KILL, PTRACE, SIGNAL_SOURCES, untilInterrupt, withoutSuffix } from './frames.ts';
import { SI_ASYNCIO, SI_MESGQ, SI_SIGIO, SI_TIMER, SIGKILL } from './signals.ts';
import { syscallName } from './syscalls.ts';

/** `shown`: by the call. `excluded`: by the kernel, or by a call of a kind that sends no signals. */
export type Call = 'shown' | 'excluded' | 'not known';

/** System calls whose siginfo, and so its code, is the caller's choice. */
const QUEUEING: ReadonlySet<string> = new Set(['rt_sigqueueinfo', 'rt_tgsigqueueinfo', 'pidfd_send_signal']);
const SENDING: ReadonlySet<string> = new Set(['kill', 'tkill', 'tgkill', ...QUEUEING]);
/** PTRACE_KILL sends SIGKILL without siginfo. */
const SENDING_WITHOUT_SIGINFO: ReadonlySet<string> = new Set([...SENDING, 'ptrace']);
/** System calls that can write to a file such as cgroup.kill. */
const WRITING: ReadonlySet<string> = new Set([
  'write',
  'writev',
  'pwrite64',
  'pwritev',
  'pwritev2',
  'sendfile',
  'sendfile64',
  'splice',
]);

/** Functions of kernel/signal.c that only these calls reach. */
const SENDING_FUNCTIONS: ReadonlySet<string> = new Set([
  'kill_something_info',
  'do_tkill',
  'do_send_specific',
  'do_rt_sigqueueinfo',
  'do_rt_tgsigqueueinfo',
  'do_pidfd_send_signal',
]);

/** The negative codes that the kernel makes, too: of timers, message queues, descriptors and USB transfers. */
const SHARED_CODES: ReadonlySet<number> = new Set([SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO]);

/** `__x64_sys_kill`, `__ia32_compat_sys_rt_sigqueueinfo`, `__arm64_sys_tgkill`, `__do_sys_pidfd_send_signal` and their kind. */
const SYSCALL_FUNCTION = /^__(?:x64|ia32|x32|arm64|se|do)_(?:compat_)?sys_(\w+)$/;

/** `SyS_kill`, `compat_SyS_rt_sigqueueinfo`, `sys_tgkill`: before Linux 4.17. Other functions begin like the last one. */
const OLD_SYSCALL_FUNCTION = /^(?:compat_)?(?:SyS|sys)_(\w+)$/;

/** Whether a code of a siginfo comes from a call alone: SI_USER, SI_QUEUE, SI_TKILL, and what only programs use. */
export function isCodeOfCall(code: number): boolean {
  return code <= 0 && !SHARED_CODES.has(code);
}

export function callThatSent(signal: Signal): Call {
  if (signal.info === 'kernel') return 'excluded';
  if (signal.info === 'noinfo') return withoutSiginfo(signal);
  // The call is proven; a number that contradicts it is that of a call in which the kernel passes on another's signal (ptrace_signal()).
  if (isCodeOfCall(signal.code)) return byNumber(signal, SENDING) === 'excluded' ? 'excluded' : 'shown';
  const shown = byStack(signal, SENDING, SENDING_FUNCTIONS);
  if (shown !== 'not known') return shown;
  return signal.code > 0 || byNumber(signal, QUEUEING) === 'excluded' ? 'excluded' : 'not known';
}

/** kill(2) on 7.3, PTRACE_KILL and cgroup.kill. The kernel sends such signals only in a call of the task that causes them. */
function withoutSiginfo(signal: Signal): Call {
  const shown = byStack(signal, SENDING_WITHOUT_SIGINFO, WITHOUT_SIGINFO_FUNCTIONS);
  if (shown !== 'not known') return shown;
  if (byNumber(signal, SENDING_WITHOUT_SIGINFO) === 'shown') return 'shown';
  // cgroup.kill without its frame: SIGKILL to one task, from a write(2) of another (kernel/cgroup).
  const looksLikeCgroupKill = signal.signo === SIGKILL && !signal.group && signal.kernel_stack.length === 0;
  return looksLikeCgroupKill && byNumber(signal, WRITING) === 'shown' ? 'shown' : 'excluded';
}
const WITHOUT_SIGINFO_FUNCTIONS: ReadonlySet<string> = new Set([...SENDING_FUNCTIONS, ...CGROUP_KILL, ...PTRACE]);

/** The innermost frame that says something decides: what is behind it called it. An interrupt came from no call. */
function byStack(signal: Signal, calls: ReadonlySet<string>, functions: ReadonlySet<string>): Call {
  const own = untilInterrupt(signal.kernel_stack);
  for (const frame of own) {
    const name = withoutSuffix(frame);
    if (functions.has(name)) return 'shown';
    if (SIGNAL_SOURCES.has(name)) return 'excluded';
    if (calls.has(OLD_SYSCALL_FUNCTION.exec(name)?.[1] ?? '')) return 'shown';
    const call = syscallOf(frame);
    if (call !== null) return calls.has(call) ? 'shown' : 'excluded';
  }
  return own.length < signal.kernel_stack.length ? 'excluded' : 'not known';
}

/** By the number alone. It stays when a call has returned, and during an interrupt: only what the kernel does not do then is proven. */
function byNumber({ syscall, syscall_arch }: Signal, calls: ReadonlySet<string>): Call {
  if (syscall_arch === null) return 'not known';
  if (syscall === null) return 'excluded';
  return calls.has(syscallName(syscall, syscall_arch)) ? 'shown' : 'excluded';
}

/** The system call that a frame is the entry of: `kill` for `__x64_sys_kill`. null: none. */
export function syscallOf(frame: string): string | null {
  return SYSCALL_FUNCTION.exec(withoutSuffix(frame))?.[1] ?? null;
}
