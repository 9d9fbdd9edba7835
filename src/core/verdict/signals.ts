// SPDX-License-Identifier: Apache-2.0
// Names of signals and of si_code values, by number. Linux on x86, arm64 and most others (asm-generic/signal.h and
// siginfo.h); MIPS, SPARC, Alpha and PA-RISC number signals differently and are not covered.

const NAMES = [
  '', 'HUP', 'INT', 'QUIT', 'ILL', 'TRAP', 'ABRT', 'BUS', 'FPE', 'KILL', 'USR1', 'SEGV', 'USR2', 'PIPE', 'ALRM', 'TERM',
  'STKFLT', 'CHLD', 'CONT', 'STOP', 'TSTP', 'TTIN', 'TTOU', 'URG', 'XCPU', 'XFSZ', 'VTALRM', 'PROF', 'WINCH', 'IO', 'PWR', 'SYS',
]; // biome-ignore format: a table by number

export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGILL = 4;
export const SIGTRAP = 5;
export const SIGABRT = 6;
export const SIGBUS = 7;
export const SIGFPE = 8;
export const SIGKILL = 9;
export const SIGUSR1 = 10;
export const SIGSEGV = 11;
export const SIGPIPE = 13;
export const SIGALRM = 14;
export const SIGTERM = 15;
export const SIGSTOP = 19;
export const SIGTSTP = 20;
export const SIGTTIN = 21;
export const SIGTTOU = 22;
export const SIGXCPU = 24;
export const SIGXFSZ = 25;
export const SIGVTALRM = 26;
export const SIGPROF = 27;
export const SIGIO = 29;
export const SIGSYS = 31;
/** SIGRTMIN of glibc, which reserves 32 and 33. (musl also reserves 34.) */
export const SIGRTMIN = 34;
/** SIGRTMAX. */
export const SIGNAL_MAX = 64;

/** Signals that ask a process to terminate, and that it can handle. */
export const TERMINATION_REQUESTS: ReadonlySet<number> = new Set([SIGHUP, SIGINT, SIGQUIT, SIGTERM]);

/** Those of them that no program takes for a request to reload. */
export const STOP_REQUESTS: ReadonlySet<number> = new Set([SIGINT, SIGQUIT, SIGTERM]);

/** Signals that processor exceptions raise. */
export const FAULTS: ReadonlySet<number> = new Set([SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP]);

/** `SIGKILL` for 9, `SIGRTMIN+2` for 36, `signal 200` for a number that is not a signal. */
export function signalName(signo: number): string {
  const name = NAMES[signo];
  if (name !== undefined && name !== '') return `SIG${name}`;
  if (signo === SIGRTMIN) return 'SIGRTMIN';
  if (signo > SIGRTMIN && signo <= SIGNAL_MAX) return `SIGRTMIN+${signo - SIGRTMIN}`;
  return `signal ${signo}`;
}

/** The inverse: 9 for `SIGKILL`, `kill`, `9`; 36 for `SIGRTMIN+2`; null if it is not a signal. */
export function signalNumber(text: string): number | null {
  if (/^\d{1,2}$/.test(text)) return Number(text) >= 1 && Number(text) <= SIGNAL_MAX ? Number(text) : null;
  const name = text.toUpperCase().replace(/^SIG/, '');
  const realtime = /^RTMIN(?:\+(\d{1,2}))?$/.exec(name);
  if (realtime !== null)
    return SIGRTMIN + Number(realtime[1] ?? 0) <= SIGNAL_MAX ? SIGRTMIN + Number(realtime[1] ?? 0) : null;
  const signo = NAMES.indexOf(name);
  return signo > 0 ? signo : null;
}

export const SI_USER = 0;
export const SI_QUEUE = -1;
export const SI_TIMER = -2;
export const SI_MESGQ = -3;
export const SI_ASYNCIO = -4;
export const SI_SIGIO = -5;
export const SI_TKILL = -6;
export const SI_KERNEL = 128;

/** si_code of SIGSYS raised by a seccomp filter. */
export const SYS_SECCOMP = 1;
/** TRACE_SIGNAL_IGNORED of include/trace/events/signal.h: the result of signal_generate. */
export const RESULT_IGNORED = 1;

const GENERAL = new Map<number, string>([
  [SI_USER, 'SI_USER'],
  [SI_KERNEL, 'SI_KERNEL'],
  [SI_QUEUE, 'SI_QUEUE'],
  [SI_TIMER, 'SI_TIMER'],
  [SI_MESGQ, 'SI_MESGQ'],
  [SI_ASYNCIO, 'SI_ASYNCIO'],
  [SI_SIGIO, 'SI_SIGIO'],
  [SI_TKILL, 'SI_TKILL'],
  [-7, 'SI_DETHREAD'],
  [-60, 'SI_ASYNCNL'],
]);

// include/uapi/asm-generic/siginfo.h; index 0 is code 1.
const BY_SIGNAL = new Map<number, readonly string[]>([
  [SIGILL, ['ILL_ILLOPC', 'ILL_ILLOPN', 'ILL_ILLADR', 'ILL_ILLTRP', 'ILL_PRVOPC', 'ILL_PRVREG', 'ILL_COPROC', 'ILL_BADSTK', 'ILL_BADIADDR']],
  [SIGFPE, ['FPE_INTDIV', 'FPE_INTOVF', 'FPE_FLTDIV', 'FPE_FLTOVF', 'FPE_FLTUND', 'FPE_FLTRES', 'FPE_FLTINV', 'FPE_FLTSUB']],
  [SIGSEGV, ['SEGV_MAPERR', 'SEGV_ACCERR', 'SEGV_BNDERR', 'SEGV_PKUERR', 'SEGV_ACCADI', 'SEGV_ADIDERR', 'SEGV_ADIPERR', 'SEGV_MTEAERR', 'SEGV_MTESERR', 'SEGV_CPERR']],
  [SIGBUS, ['BUS_ADRALN', 'BUS_ADRERR', 'BUS_OBJERR', 'BUS_MCEERR_AR', 'BUS_MCEERR_AO']],
  [SIGTRAP, ['TRAP_BRKPT', 'TRAP_TRACE', 'TRAP_BRANCH', 'TRAP_HWBKPT', 'TRAP_UNK', 'TRAP_PERF']],
  [SIGSYS, ['SYS_SECCOMP', 'SYS_USER_DISPATCH']],
  [SIGIO, ['POLL_IN', 'POLL_OUT', 'POLL_MSG', 'POLL_ERR', 'POLL_PRI', 'POLL_HUP']],
]); // biome-ignore format: tables by number

/** The name of an si_code of this signal: `SEGV_MAPERR`, `SI_TKILL`; `code 77` if it has none. */
export function codeName(signo: number, code: number): string {
  const general = GENERAL.get(code);
  if (general !== undefined) return general;
  return BY_SIGNAL.get(signo)?.[code - 1] ?? `code ${code}`;
}

/** The decoded status of wait(2). `signal` 0: it exited with `exitCode`. */
export interface ExitStatus {
  readonly signal: number;
  readonly exitCode: number;
  readonly coreDumped: boolean;
}

/** Decodes a raw status as the macros of wait(2) do. The core bit is not part of the signal number. */
export function decodeStatus(statusRaw: number): ExitStatus {
  return { signal: statusRaw & 0x7f, exitCode: (statusRaw >> 8) & 0xff, coreDumped: (statusRaw & 0x80) !== 0 };
}
