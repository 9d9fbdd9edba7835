/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Signals: their numbers and codes, and the sets that the probes tell apart.
 */
#pragma once

/* include/uapi/asm-generic/siginfo.h */
#define SI_USER 0
#define SI_KERNEL 0x80
#define SI_QUEUE (-1)
#define SI_TIMER (-2)
#define SI_TKILL (-6)

#define SIG_DFL 0
#define SIG_IGN 1
#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGILL 4
#define SIGTRAP 5
#define SIGABRT 6
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGSEGV 11
#define SIGTERM 15
#define SIGCHLD 17
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGURG 23
#define SIGWINCH 28
#define SIGSYS 31
#define SIGNALS 64

#define BIT(signo) (1ull << ((signo) - 1))
#define HAS(set, signo) ((set) >> ((signo) - 1) & 1)

/* Default action: ignore, stop or continue. SIGSTOP included, such a signal never ends a process. */
#define HARMLESS                                                                                                                 \
	(BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU) | BIT(SIGURG) | BIT(SIGWINCH))
/* The polite ones: a process that catches such a signal often ends a little later, by itself, because of it. */
#define REQUESTS (BIT(SIGHUP) | BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGTERM))
/* What the processor, or seccomp, raises in the thread that runs. */
#define FAULTS (BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGSEGV) | BIT(SIGSYS))
/* Of another process, a request too: watchdogs send them so that the process reports itself and ends. */
#define CRASHES (FAULTS | BIT(SIGABRT))
