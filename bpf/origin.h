/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stand-in until the origin's own header is merged: the user alone.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "load.h"

static __always_inline struct origin origin_of(struct task_struct *task)
{
	struct origin origin = {.uid = READ(task, cred, uid.val)};

	return origin;
}
