/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types of cgroups, cut down as in kernel.h.
 */
#pragma once

#include <linux/types.h>

#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_iattrs {
	kuid_t ia_uid;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	__u64 id;
	unsigned short mode;
	struct kernfs_iattrs *iattr;
};

/* From 6.15: "kernfs: Use RCU to access kernfs_node::parent". */
struct kernfs_node___rcu {
	struct kernfs_node *__parent;
};

enum cgroup_subsys_id {
	memory_cgrp_id,
	pids_cgrp_id,
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct kernfs_node *kn;
	int level;
	struct cgroup *ancestors[1]; /* since 6.1: from the root to the cgroup itself */
};

/* Before. */
struct cgroup___ids {
	__u64 ancestor_ids[1];
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

struct page_counter {
	atomic_long_t usage;
	unsigned long max;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
};

#pragma clang attribute pop
