/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Reading a field of the kernel's memory, wherever its address comes from.
 */
#pragma once

enum bpf_func_id___load {
	BPF_FUNC_cgrp_storage_get___load = 210,
};

extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

/*
 * Whether a program may load such a field by itself: bpf_rdonly_cast() tells the verifier what lies at an address. The load costs about a
 * nanosecond, where bpf_probe_read_kernel() costs some twenty, and it faults as that does: to 0. The helper came with the same kernel as
 * the function (6.2), and is asked for as CO-RE asks for no functions. On an older kernel the branch is gone before the verifier sees it.
 */
#define CAN_LOAD bpf_core_enum_value_exists(enum bpf_func_id___load, BPF_FUNC_cgrp_storage_get___load)

#define LOADABLE(object) ((typeof(object))bpf_rdonly_cast(object, bpf_core_type_id_kernel(typeof(*(object)))))

/* As BPF_CORE_READ(object, a, b.c, d): object->a->b.c->d, or 0 where an address on the way is none. */
#define READ(object, ...) (CAN_LOAD ? ___arrow(LOADABLE(object), __VA_ARGS__) : BPF_CORE_READ(object, __VA_ARGS__))
