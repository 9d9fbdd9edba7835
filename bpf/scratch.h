/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Per-CPU working storage, as BPF stacks are small, and appending a part to the record in it. The headers that build parts
 * include this one.
 */
#pragma once

#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "crash_slot.h"
#include "description.h"
#include "event.h"
#include "maps.h"
#include "paths.h"
#include "repeat_key.h"
#include "stop_maps.h"

#define PARTS_BYTES_MAX 12288 /* no part begins beyond */
#define PARTS_MASK 16383      /* bits of a position */
#define PART_BYTES_MAX 4352   /* no part is longer, its head included */
#define PAGE_BYTES 4096       /* even if the machine's pages are larger */
#define ENV_VARIABLE_BYTES_MAX 1024
#define ENV_FOUND_MAX 16 /* in a page; a power of two */
#define ENVIRONMENT_KEYS 6 /* variables that are wanted at once */

/* The state of the search for a thread's context (thread_context.h). Addresses are those of the exiting process. */
struct search {
	__u64 reads; /* so far, bounded by READS_MAX */
	__u64 found; /* an object defines the variable */
	__u64 thread_pointer;
	__u64 vector_at; /* from there to the thread's vector of modules */
	__u64 next; /* object of the linker's list; at the end, what the variable points to */
	/* of the executable alone */
	__u64 tls_address;
	__u64 tls_bytes;
	__u64 tls_align;
	/* of the object */
	__u64 bias; /* loaded address minus the address in the file */
	__u64 dynamic;
	__u64 hash;
	__u64 symbols;
	__u64 names;
	__u64 debug;
	__u64 relocations;
	__u64 relocations_bytes;
	__u64 relative_count; /* the first of the relocations, which name no symbol */
	__u64 lazy_relocations;
	__u64 lazy_relocations_bytes;
	__u64 chain;
	/* of the variable */
	__u64 symbol; /* its number */
	__u64 value; /* its offset in the object's thread-local segment */
	__u64 variable;
	__u64 words[2];
	struct thread_context context;
};
_Static_assert(offsetof(struct search, context) % 8 == 0, "its ids are tested as 64-bit words");

/* The state of the search for environment variables (environment.h). */
struct environment {
	__u64 from, end; /* user addresses: what is left to scan */
	__u64 bytes; /* of the variables found so far, together */
	__u64 cut_off; /* the page begins within a variable */
	__u64 last; /* where the last variable of the page begins */
	__u64 claims; /* hash of those found so far that name the service */
	__u64 found; /* number of those in the page that are wanted, which begin at: */
	__u64 begin[ENV_FOUND_MAX];
	__u64 heads[ENVIRONMENT_KEYS]; /* the first 8 bytes of the names that are wanted */
};
_Static_assert(!(ENV_FOUND_MAX & (ENV_FOUND_MAX - 1)), "an index is bounded by a mask");

#define CGROUP_NAME_BYTES 48 /* a longer name is that of a pod or a container, or taken for one */

/* The first bytes of a cgroup's name, with zeros behind it. */
struct cgroup_name {
	__u64 words[CGROUP_NAME_BYTES / 8];
};

/* The state of the search for an origin (origin.h). */
struct origin_search {
	__u64 directory; /* the kernfs_node that is looked at next */
	__u64 found; /* that of the origin; 0: none yet */
	struct cgroup_name name; /* of the directory */
};

struct record {
	/*
	 * A page of user memory, since one read is cheaper than several: the executable's first page (elf.h), then the
	 * environment. The slack has room for a word or a note that begins at the end of the page. To a verifier, the fields
	 * behind the page are also room for the two copies of copy_user().
	 */
	char page[PAGE_BYTES];
	char behind_page[64];
	/* What goes to the ring. */
	struct event event;
	/*
	 * Behind the last part there is room for a whole snapshot, and so for the longest part twice: a verifier that adds up
	 * two copies does not see that together they fit in one part.
	 */
	char parts[PARTS_BYTES_MAX + MM_SNAPSHOT_BYTES_MAX];
	struct environment environment;
	__u64 mappings;
	struct search search;
	struct restart_key place;
	struct crash_reference crash; /* of capture_crash() */
	struct pipes pipes; /* of append_pipes() */
	struct stop stop; /* of keep_stop() */
	struct origin_search origin;
	__u64 leader; /* of the process for which an entry is added */
	struct origin fresh_origin; /* and its origin */
	struct pending_facts fresh; /* an entry to add: all zero but its key and its share */
	__u64 directories[CGROUP_DIRECTORIES]; /* of a cgroup's path, by level: read_cgroup_path() */
	__u64 used_eighths; /* of the origin's share of the ring */
	__u64 from_reserve; /* the record is written into the reserve (ring_shares.h) */
	struct repeat_key repeat;
	__u64 has_repeat_key; /* repeat is that of this process */
};
_Static_assert(offsetof(struct record, behind_page) == PAGE_BYTES && sizeof(((struct record *)0)->behind_page) >= sizeof(__u64),
	       "a word may begin at the end of the page");
_Static_assert(offsetof(struct record, parts) == offsetof(struct record, event) + sizeof(struct event),
	       "event and parts go to the ring in one piece");
_Static_assert(offsetof(struct record, parts) % 8 == 0, "parts are aligned to 8");
_Static_assert(sizeof(struct event) >= offsetof(struct mm_snapshot, parts), "the head of a snapshot is laid over the event");
_Static_assert(MM_SNAPSHOT_BYTES_MAX >= 2 * PART_BYTES_MAX, "the longest part twice");
_Static_assert(PART_BYTES_MAX >= sizeof(struct part) + sizeof(struct description) &&
		       PART_BYTES_MAX >= sizeof(struct part) + sizeof(struct oom) &&
		       PART_BYTES_MAX >= sizeof(struct part) + ARGS_BYTES_MAX &&
		       PART_BYTES_MAX >= sizeof(struct part) + ENV_BYTES_MAX,
	       "the longest payloads fit");

/* Each program that builds parts has a record of its own: one may interrupt another. */
enum scratch_user {
	SCRATCH_REPORT,
	SCRATCH_SNAPSHOT,
	SCRATCH_RESTART,
	SCRATCH_SIGNAL, /* both programs for signals, as interrupts are disabled there */
	SCRATCH_OOM,
	SCRATCH_USERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_USERS);
	__type(key, __u32);
	__type(value, struct record);
} record_scratch SEC(".maps");

static __always_inline struct record *scratch(__u32 user)
{
	return bpf_map_lookup_elem(&record_scratch, &user);
}

/* Where the payload of a part at `at` begins: PART_BYTES_MAX - sizeof(struct part) bytes. NULL: no record, or no room. */
static __always_inline char *part_at(struct record *record, __u64 at)
{
	if (!record || at > PARTS_BYTES_MAX)
		return NULL;
	/*
	 * Or the compiler adds before it checks, and the verifier sees an unbounded pointer. The mask changes nothing: verifiers before
	 * 6.1 lose the bounds of an `at` that the compiler spilled before it checked.
	 */
	barrier_var(at);
	return record->parts + (at & PARTS_MASK) + sizeof(struct part);
}

/* Writes the head of the part at `at`. Returns where the next part begins. `bytes` may have TRUNCATED; flags: enum part_flag. */
static __always_inline __u64 end_part_flagged(struct record *record, __u64 at, enum part_kind kind, __u64 bytes, __u64 flags)
{
	struct part *part;

	/*
	 * Checked again here: the verifiers of 5.10 and 6.1 lose the bounds of an `at` that was spilled to the stack since
	 * part_at().
	 */
	barrier_var(at);
	if (at > PARTS_BYTES_MAX)
		return at;
	barrier_var(at); /* and masked, as in part_at() */
	part = (struct part *)(record->parts + (at & PARTS_MASK));
	part->kind = kind;
	part->flags = flags | (bytes & TRUNCATED ? PART_FLAG_TRUNCATED : 0);
	bytes &= ~TRUNCATED;
	if (bytes > PART_BYTES_MAX - sizeof(*part))
		return at;
	part->bytes = bytes;
	return (at + sizeof(*part) + bytes + 7) & ~7ull;
}

static __always_inline __u64 end_part(struct record *record, __u64 at, enum part_kind kind, __u64 bytes)
{
	return end_part_flagged(record, at, kind, bytes, 0);
}

/* Appends a part with a copy of kernel memory. Returns where the next part begins; `at`: it was left out. */
static __always_inline __u64 append(struct record *record, __u64 at, enum part_kind kind, const void *from, __u64 bytes)
{
	char *out = part_at(record, at);

	if (!out || bytes > PART_BYTES_MAX - sizeof(struct part) || bpf_probe_read_kernel(out, bytes, from))
		return at;
	return end_part(record, at, kind, bytes);
}
