// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Copies kernel memory for the loader, which finds in it where the fields of a task lie on a kernel without BTF (loader/internal/
 * calibrate). It relies on no type of the kernel, and runs only for signals that one thread of the loader sends.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PEEK_BYTES 4096
#define PEEK_STEP 512 /* what cannot be read is 0: that much of it */

struct peek {
	__u32 tid; /* who asks; 0: no one */
	__u32 done;
	__u64 address; /* what to read; 0: nothing */
	__u64 task; /* the address of the task that got the signal */
	__u8 bytes[PEEK_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct peek);
} peeks SEC(".maps");

/* The arguments of signal_generate are sig, info, task, group and result, since 2.6.39. */
SEC("raw_tp/signal_generate")
int on_peek(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 zero = 0;
	struct peek *peek = bpf_map_lookup_elem(&peeks, &zero);

	if (!peek || !peek->tid || peek->tid != (__u32)bpf_get_current_pid_tgid())
		return 0;
	peek->task = ctx->args[2];
	if (peek->address) {
#pragma clang loop unroll(full)
		for (int at = 0; at < PEEK_BYTES; at += PEEK_STEP)
			bpf_probe_read_kernel(peek->bytes + at, PEEK_STEP, (void *)(peek->address + at));
	}
	peek->done = 1;
	return 0;
}

/* Loads only where a tracepoint has a second argument: the loader tries with which it can be attached. */
SEC("raw_tp")
int on_second_argument(struct bpf_raw_tracepoint_args *ctx)
{
	return ctx->args[1] == 1;
}
