/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * PART_ENV: the environment of current, filtered in the kernel (docs/decisions/0006). Variables outside environment_keys are not
 * copied into the record.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "load.h"
#include "paths.h"
#include "repeat_key.h"
#include "scratch.h"
#include "task.h"

/*
 * Of a process that terminates: the variables that OpenTelemetry defines for identity and trace, that of systemd's watchdog, and from
 * where its user logged in. Of one that acts: from where, and as whom a person came. No others leave the kernel, or the loader. The probes compare the first 8 bytes of a name, the loader all of it.
 */
#define ACTOR_ENVIRONMENT_KEYS 2
#define ENVIRONMENT_KEY_BYTES 32

const char environment_keys[ENVIRONMENT_KEYS][ENVIRONMENT_KEY_BYTES] __attribute__((aligned(8))) = {
	"OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "TRACEPARENT", "TRACESTATE", "WATCHDOG_USEC", "SSH_CONNECTION",
};
_Static_assert(ENVIRONMENT_KEY_BYTES % 8 == 0, "the first 8 bytes of each are read as a number");

#define ENV_PAGES_MAX 64
#define SENDER_ENV_BYTES_MAX 16384 /* searched while the victim's siglock is held */

const char actor_environment_keys[ACTOR_ENVIRONMENT_KEYS][ENVIRONMENT_KEY_BYTES] __attribute__((aligned(8))) = {
	"SUDO_USER",
	"SSH_CONNECTION",
};
_Static_assert(ACTOR_ENVIRONMENT_KEYS <= ENVIRONMENT_KEYS, "there is room for their heads");

/* Whose variables are wanted: the process that executes a tool, or sends a signal, is an actor. */
static __always_inline void want_variables(struct environment *environment, __u32 user)
{
	UNROLL
	for (int i = 0; i < ENVIRONMENT_KEYS; i++)
		environment->heads[i] = *(const __u64 *)environment_keys[i];
	if (user != SCRATCH_RESTART && user != SCRATCH_SIGNAL)
		return;
	UNROLL
	for (int i = 0; i < ENVIRONMENT_KEYS; i++)
		environment->heads[i] = *(const __u64 *)actor_environment_keys[i % ACTOR_ENVIRONMENT_KEYS];
}

static __always_inline bool wanted_variable(const struct environment *environment, const char *variable)
{
	__u64 head = *(const __u64 *)variable;

	UNROLL
	for (int i = 0; i < ENVIRONMENT_KEYS; i++)
		if (head == environment->heads[i])
			return true;
	return false;
}

/* Notes that a variable begins at `begin` in the page. Keeps its position if it is wanted. */
static __always_inline void note_variable(struct environment *environment, __u64 begin, const char *variable)
{
	environment->last = begin;
	if (wanted_variable(environment, variable))
		environment->begin[environment->found++ & (ENV_FOUND_MAX - 1)] = begin;
}

/* Notes the variables that begin behind each NUL among the eight bytes at `at`. Returns 0: global functions return numbers. */
__noinline __u64 scan_word(__u32 user, __u64 at, __u64 bytes)
{
	struct record *record = scratch(user);
	const char *word;

	if (!record || at > PAGE_BYTES - 8)
		return 0;
	barrier_var(at); /* as in part_at() */
	word = record->page + at;
	UNROLL
	for (int i = 0; i < 8; i++)
		if (!word[i] && at + i < bytes)
			note_variable(&record->environment, at + i + 1, word + i + 1);
	return 0;
}

/*
 * Scans the first `bytes` of the page, eight at a time, as few words contain a NUL ("Determine if a word has a zero byte", Bit
 * Twiddling Hacks). Returns the number of wanted variables.
 */
__noinline __u64 scan_page(__u32 user, __u64 bytes)
{
	struct record *record = scratch(user);

	if (!record || bytes > PAGE_BYTES)
		return 0;
	*(__u64 *)(record->page + bytes) = 0; /* the rest is from an earlier read */
	record->environment.found = 0;
	record->environment.last = 0;
	if (!record->environment.cut_off)
		note_variable(&record->environment, 0, record->page);
	for (__u64 at = 0; at < PAGE_BYTES; at += 8) {
		__u64 word = *(__u64 *)(record->page + at);

		barrier_var(at); /* or clang merges the two limits, and the verifier of 5.10 loses the bound */
		if (at >= bytes)
			break;
		if ((word - 0x0101010101010101ull) & ~word & 0x8080808080808080ull)
			scan_word(user, at, bytes);
	}
	return record->environment.found;
}

#define CLAIM_PREFIX 0x4c45544f /* "OTEL" as a number */

/* Adds a text of the part at `at`, in the payload at `from`, to a hash. The bytes behind it do not count. */
__noinline __u64 hash_text(__u32 user, __u64 at, __u64 from, __u64 bytes)
{
	struct record *record = scratch(user);
	const char *text = part_at(record, at);
	__u64 hash = bytes;

	if (!text || from > ENV_BYTES_MAX || bytes > CONTEXT_BYTES_MAX)
		return hash;
	barrier_var(from);
	for (__u64 i = 0; i < CONTEXT_BYTES_MAX; i += 8) {
		__u64 word = *(const __u64 *)(text + from + i), left;

		barrier_var(i);
		if (i >= bytes)
			break;
		left = bytes - i;
		if (left < 8)
			word &= (1ull << (8 * left)) - 1;
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull; /* 2^64 / the golden ratio: Knuth, multiplicative hashing */
		hash ^= hash >> 32;
	}
	return hash;
}

/* Appends the wanted variables that begin before `end` in the page. Returns 0 if there may be more than fit. */
__noinline __u64 copy_variables(__u32 user, __u64 at, __u64 end)
{
	struct record *record = scratch(user);
	char *out = part_at(record, at);
	struct environment *environment;

	if (!out)
		return 0;
	environment = &record->environment;
	for (int i = 0; i < ENV_FOUND_MAX; i++) {
		__u64 bytes = environment->bytes, begin = environment->begin[i];
		long n;

		if (bytes > ENV_BYTES_MAX - ENV_VARIABLE_BYTES_MAX)
			return 0;
		if ((__u64)i >= environment->found || begin >= end || begin >= PAGE_BYTES)
			return 1;
		n = bpf_probe_read_kernel_str(out + bytes, ENV_VARIABLE_BYTES_MAX, record->page + begin);
		if (n > 0) {
			if (*(const __u32 *)(record->page + begin) == CLAIM_PREFIX)
				environment->claims += hash_text(user, at, bytes, n);
			environment->bytes = bytes + n;
		}
	}
	return environment->found == ENV_FOUND_MAX;
}

/* Scans a page. The next page begins at the variable that this page cuts off. Returns 0 if not all of it was scanned. */
__noinline __u64 scan_next_page(__u32 user, __u64 at)
{
	struct record *record = scratch(user);
	struct environment *environment;
	__u64 wanted, bytes, next;

	if (!record)
		return 0;
	environment = &record->environment;
	wanted = environment->end - environment->from;
	if (wanted > PAGE_BYTES)
		wanted = PAGE_BYTES;
	bytes = copy_user(record->page, environment->from, wanted);
	scan_page(user, bytes);
	next = environment->from + bytes < environment->end && environment->last ? environment->last : bytes;
	environment->cut_off = !environment->last;
	environment->from += next;
	return copy_variables(user, at, next) && bytes == wanted;
}

/* Appends the wanted variables of current. */
__u64 append_env(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct record *record = scratch(user);
	struct environment *environment;
	__u64 truncated = 0;

	if (!record || !READ(mm, env_start))
		return at;
	environment = &record->environment;
	environment->from = READ(mm, env_start);
	environment->end = READ(mm, env_end);
	if (user == SCRATCH_SIGNAL && environment->end - environment->from > SENDER_ENV_BYTES_MAX)
		environment->end = environment->from + SENDER_ENV_BYTES_MAX;
	want_variables(environment, user);
	environment->bytes = environment->cut_off = environment->claims = 0;
	for (int i = 0; i < ENV_PAGES_MAX && !truncated && environment->from < environment->end; i++)
		if (!scan_next_page(user, at))
			truncated = TRUNCATED;
	if (environment->from < environment->end)
		truncated = TRUNCATED;
	if (truncated)
		environment->claims = CLAIMS_UNKNOWN;
	return end_part(record, at, PART_ENV, (environment->bytes & (2 * ENV_BYTES_MAX - 1)) | truncated);
}
