/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Signals: their numbers and codes. The sets that the probes treat alike are in event.h, as the loader needs them, too.
 */
#pragma once

#include <linux/types.h>

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
/* Is the signal in the set? For signo from 1 to SIGNALS. */
#define HAS(set, signo) ((__u64)(set) >> ((signo) - 1) & 1)
