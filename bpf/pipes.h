/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pipes that are a process's standard input and output at its end: by them, the service finds the reader of a writer that SIGPIPE
 * terminated. The descriptors are closed after the tracepoint (exit_files()), on all supported kernels.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"
#include "kernel.h"
#include "kernel_files.h"
#include "load.h"
#include "scratch.h"

#define PIPEFS_MAGIC 0x50495045 /* include/uapi/linux/magic.h */

/* The pipe that the descriptor of current is; NULL: it is none, or is closed. Named pipes are files. */
static __always_inline struct inode *pipe_of(__u32 descriptor)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file **files = READ(task, files, fdt, fd), *file = NULL;
	struct inode *inode;

	if (!files || bpf_probe_read_kernel(&file, sizeof(file), files + descriptor) || !file)
		return NULL;
	inode = READ(file, f_inode);
	return READ(inode, i_sb, s_magic) == PIPEFS_MAGIC ? inode : NULL;
}

/* A global function, as in task_parts.h. */
__u64 append_pipes(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct inode *input, *output;
	struct pipes *pipes;

	if (!record)
		return at;
	pipes = &record->pipes;
	pipes->input = pipes->output = pipes->output_readers = 0;
	input = pipe_of(0);
	if (input)
		pipes->input = READ(input, i_ino);
	output = pipe_of(1);
	if (output) {
		pipes->output = READ(output, i_ino);
		pipes->output_readers = READ(output, i_pipe, readers);
	}
	return pipes->input | pipes->output ? append(record, at, PART_PIPES, pipes, sizeof(*pipes)) : at;
}
