/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Signal numbers, sets of signals, and the codes of siginfo, as enums, which reach Go.
 */
#pragma once

#include <linux/types.h>

/* include/uapi/asm-generic/siginfo.h */
enum siginfo_code {
	SI_USER = 0,
	SI_KERNEL = 0x80,
	SI_QUEUE = -1,
	SI_TIMER = -2,
	SI_TKILL = -6,
};

/* include/uapi/asm-generic/signal.h */
enum signal_number {
	SIGHUP = 1,
	SIGINT = 2,
	SIGQUIT = 3,
	SIGILL = 4,
	SIGTRAP = 5,
	SIGABRT = 6,
	SIGBUS = 7,
	SIGFPE = 8,
	SIGKILL = 9,
	SIGSEGV = 11,
	SIGTERM = 15,
	SIGCHLD = 17,
	SIGCONT = 18,
	SIGSTOP = 19,
	SIGTSTP = 20,
	SIGTTIN = 21,
	SIGTTOU = 22,
	SIGURG = 23,
	SIGWINCH = 28,
	SIGSYS = 31,
};

#define SIGNALS 64
#define SIG_DFL 0
#define SIG_IGN 1

#define BIT(signo) (1ull << ((signo) - 1))
/* Whether the signal is in the set. signo is from 1 to SIGNALS. */
#define HAS(set, signo) ((__u64)(set) >> ((signo) - 1) & 1)

/* Sets of signals that are treated alike. Bit signo - 1 of a set is signal signo. */
enum signal_set {
	/* Never terminate a process: the default action is to ignore, stop or continue. */
	HARMLESS = BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU) | BIT(SIGURG) |
		   BIT(SIGWINCH),
	/* Termination requests: a process that handles one often exits a little later because of it. */
	REQUESTS = BIT(SIGHUP) | BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGTERM),
	/* Those of them that never ask for a reload. */
	STOPS = BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGTERM),
	/* Those of HARMLESS that stop a process by default. */
	STOPPERS = BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU),
	/* Raised by the processor or seccomp in the current thread. */
	FAULTS = BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGSEGV) | BIT(SIGSYS),
	/* From another process these are requests, too: watchdogs send them for a dump (docs/decisions/0015). */
	CRASHES = FAULTS | BIT(SIGABRT),
};
