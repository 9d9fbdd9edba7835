/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The siginfo of a signal, as the signal tracepoints hand it over: a pointer, or SEND_SIG_NOINFO or SEND_SIG_PRIV instead of one.
 */
#pragma once

#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "signals.h"

/* include/uapi/asm-generic/siginfo.h, 64 bit */
#define SIGINFO_CODE 8
#define SIGINFO_SYSCALL 24
#define SIGINFO_ARCH 28

/* A siginfo from SIGINFO_CODE on. */
struct siginfo_words {
	__s32 code;
	__u32 padding;
	union {
		__u64 address; /* of a fault */
		struct {
			__s32 pid;
			__u32 uid;
		};
	};
};

/* Without one, only the code is set. */
static __always_inline struct siginfo_words read_siginfo(unsigned long siginfo)
{
	struct siginfo_words words = {.code = siginfo == SIGINFO_NOINFO ? SI_USER : SI_KERNEL};

	if (siginfo >= SIGINFO_REAL)
		bpf_probe_read_kernel(&words, sizeof(words), (void *)siginfo + SIGINFO_CODE);
	return words;
}
