/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * READ() reads a field of kernel memory at any address: with a direct load where the verifier allows it, else with
 * bpf_probe_read_kernel().
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

enum bpf_func_id___load {
	BPF_FUNC_cgrp_storage_get___load = 210,
};

extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

/*
 * Whether a program can load such a field directly: bpf_rdonly_cast() gives the verifier the type of an address. A load
 * costs about 1 ns, bpf_probe_read_kernel() about 20, and a bad address yields 0 with both. The kfunc exists since 6.2, as does
 * the helper that is tested here, since CO-RE can test for helpers only. On an older kernel the branch is removed before the
 * verifier sees it.
 */
#ifndef CAN_LOAD /* old_load.h: never */
#define CAN_LOAD bpf_core_enum_value_exists(enum bpf_func_id___load, BPF_FUNC_cgrp_storage_get___load)
#endif

#define LOADABLE(object) ((typeof(object))bpf_rdonly_cast(object, bpf_core_type_id_kernel(typeof(*(object)))))

/* As BPF_CORE_READ(object, a, b.c, d): object->a->b.c->d, or 0 if an address on the way is invalid. */
#define READ(object, ...) (CAN_LOAD ? ___arrow(LOADABLE(object), __VA_ARGS__) : BPF_CORE_READ(object, __VA_ARGS__))
