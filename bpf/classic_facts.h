/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What classic.bpf.c keeps of signals and faults: in old_facts, under the number of a thread.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "event.h"
#include "kernel.h"
#include "old_facts.h"
#include "old_maps.h"
#include "old_signals.h"
#include "old_task.h"
#include "signals.h"
#include "task_fields.h"

#define STANDARD_SIGNALS 31 /* of others, several may be pending: which one is delivered is not known */

static __always_inline struct old_key key_of_thread(__u32 tid)
{
	struct old_key key = {.pid = tid};

	return key;
}

/* Before 4.16, the upper half of a positive code says what the siginfo has; the lower one may be negative, as of a timer. */
static __always_inline __s32 code_of(__s32 code)
{
	return code > 0 ? (__s16)code : code;
}

/* The tracepoint shows SI_USER of a signal without siginfo, too. */
static __always_inline __u32 siginfo_of(__s32 code)
{
	if (code == SI_USER)
		return SIGINFO_NOINFO;
	if (code == SI_KERNEL)
		return SIGINFO_PRIV;
	return code < 0 ? SIGINFO_PARTIAL : SIGINFO_REAL;
}

/* Copies as words: up to 4.10 no helper writes to a slot, and clang adds to the address for a copy of its own. */
#define COPY_WORDS(to, from)                                                                                                     \
	({                                                                                                                       \
		volatile __u64 *words_ = (volatile __u64 *)(to);                                                                 \
		_Static_assert(sizeof(*(to)) % sizeof(*words_) == 0, "words");                                                   \
		UNROLL                                                                                                           \
		for (__u32 word_ = 0; word_ < sizeof(*(to)) / sizeof(*words_); word_++)                                          \
			words_[word_] = ((__u64 *)(from))[word_];                                                                \
	})

/* keep() without the victim: what is added to a process that has ended stays until its pid is used again, and is older than that process. */
static __always_inline void keep_of_thread(struct old_key *key, __u32 kind, struct old_fact *fact)
{
	__u32 *count = count_of(key->pid);

	key->kind = kind;
	if (!count)
		return;
	__sync_fetch_and_add(count, 1);
	if (!bpf_map_update_elem(&old_facts, key, fact, BPF_NOEXIST))
		return;
	__sync_fetch_and_add(count, -1);
	if (bpf_map_update_elem(&old_facts, key, fact, BPF_EXIST))
		count_memory_full();
}

/* A fault of current, which terminates it. What siginfo has beside the code is not known: the address, and the system call of SIGSYS. */
static __always_inline void keep_fault_of_code(__u32 signo, __s32 code, __u32 tgid)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct old_key key = key_of_thread(tgid);
	struct old_fact fact = {};
	struct fault *fault = (struct fault *)fact.bytes;

	fault->time_ns = now();
	fault->signo = signo;
	fault->code = code;
	fault->syscall_nr = -1;
	fault->tid = READ(current, pid);
	bpf_get_current_comm(&fault->thread_comm, sizeof(fault->thread_comm));
	read_trap(fault, current);
	keep_of_thread(&key, OLD_FAULT, &fact);
}

static __always_inline void drop_facts_of_thread(__u32 tid)
{
	struct old_key key = key_of_thread(tid);
	__u32 *count = count_of(tid);

	if (!count || !*count)
		return;
	UNROLL
	for (__u32 signo = 1; signo <= STANDARD_SIGNALS; signo++)
		if (!HAS(HARMLESS, signo))
			drop_fact(&key, OLD_SIGNO + signo, count);
	drop_fact(&key, OLD_FAULT, count);
}

/* The thread of which facts are kept exits before others: the signal that terminates the process is the process's. */
static __always_inline void pass_on(struct task_struct *task, struct task_struct *leader, struct signal_struct *signal)
{
	__u32 tid = READ(task, pid), tgid = READ(leader, pid), signo = READ(signal, group_exit_code) & STATUS_SIGNAL;
	struct old_key key = key_of_thread(tid), process = key_of_thread(tgid);
	struct old_fact *fact, copy;

	if (tid == tgid)
		return;
	if (signo && READ(signal, flags) & SIGNAL_GROUP_EXIT && !fact_of(&process, OLD_SIGNO + signo)) {
		fact = fact_of(&key, OLD_SIGNO + signo);
		if (fact) {
			bpf_probe_read(&copy, sizeof(copy), fact);
			keep_of_thread(&process, OLD_SIGNO + signo, &copy);
		}
	}
	drop_facts_of_thread(tid);
}
