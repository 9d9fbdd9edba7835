/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is kept of a process that ended stays for a while: until OLD_ENDED others have ended on its CPU.
 */
#pragma once

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "old_load.h"
#include "old_maps.h"

/* Notes that a process ended. True: the one whose place it takes is in `before`. */
static __always_inline bool take_ended(const struct old_key *key, struct old_key *before)
{
	__u32 zero = 0, slot;
	struct old_scratch *scratch = bpf_map_lookup_elem(&old_scratch_map, &zero);
	struct old_ended *ended;

	if (!scratch)
		return false;
	slot = scratch->ended++ & (OLD_ENDED - 1);
	ended = bpf_map_lookup_elem(&old_ended_map, &slot);
	if (!ended)
		return false;
	before->start_boottime_ns = ended->start_boottime_ns;
	before->pid = ended->pid;
	ended->start_boottime_ns = key->start_boottime_ns;
	ended->pid = key->pid;
	return before->pid;
}
