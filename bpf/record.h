/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Building the record of one death, and handing it to the ring: the parts in the order of their worth, so that a record can
 * be cut short when the ring runs low.
 */
#pragma once

#define PARTS_BYTES_MAX 12288  /* no part begins beyond */
#define PART_BYTES_MAX 4352    /* no part is longer, its head included */
#define PAGE_BYTES 4096 /* whatever the machine's pages have */
#define ENV_PAGES_MAX 64
#define ENV_VARIABLE_BYTES_MAX 1024
#define ENV_FOUND_MAX 16 /* in a page */

/* Where the search for a thread's context has come to (thread.h). Addresses are the dead's. Here, as stacks are small. */
struct search {
	__u64 reads; /* so far */
	__u64 found; /* an object defines the variable */
	__u64 thread_pointer;
	__u64 vector_at; /* from there to the thread's vector of modules */
	__u64 next; /* object of the linker's list; in the end, what the variable points to */
	/* of the executable alone */
	__u64 tls_address;
	__u64 tls_bytes;
	__u64 tls_align;
	/* of the object */
	__u64 bias; /* what is added to the addresses of its file */
	__u64 dynamic;
	__u64 hash;
	__u64 symbols;
	__u64 names;
	__u64 debug;
	__u64 relocations;
	__u64 relocations_bytes;
	__u64 relative_count; /* the first of them, which concern no symbol */
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

/* Where the search for variables has come to. */
struct environment {
	__u64 from, end; /* addresses of the dead's: what is left to look through */
	__u64 bytes; /* of those that were found, together */
	__u64 cut_off; /* the page begins within a variable */
	__u64 last; /* where the last variable of the page begins */
	__u64 found; /* in the page, at: */
	__u64 begin[ENV_FOUND_MAX];
};

struct record {
	/* Of the dead's memory, which is cheaper to read at once than in pieces: its executable's first page (identity.h), then its
	 * environment. What follows is room for a word, or a note, that begins at its end; to a verifier, for all of copy_user(). */
	char page[PAGE_BYTES];
	char behind_page[64];
	/* The record itself. */
	struct event event;
	/* Room for the last words at once, which is also the longest part twice: a verifier that sees two copies add up does not see
	 * that they fit in one. */
	char parts[PARTS_BYTES_MAX + LAST_WORDS_BYTES_MAX];
	struct environment environment;
	__u64 mappings;
	struct search search;
	struct restart_key place;
	__u64 used_eighths; /* of the ring */
};

/* Each of the programs that build parts has a record of its own: one may be interrupted by the other. */
enum scratch_user {
	SCRATCH_REPORT,
	SCRATCH_LAST_WORDS,
	SCRATCH_RESTART,
	SCRATCH_USERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_USERS);
	__type(key, __u32);
	__type(value, struct record);
} record_scratch SEC(".maps");

/*
 * When the ring runs low, records shrink, step by step, before any is lost: with more eighths of it unacknowledged than these, they
 * go without what is named. In the last quarter a record has some 300 bytes.
 */
#define STACK_EIGHTHS_MAX 4 /* the kernel's stack */
#define DETAILS_EIGHTHS_MAX 5 /* arguments, environment, and the description of the sender */
#define ANCESTORS_EIGHTHS_MAX 6 /* the ancestors */

volatile const __u64 ring_bytes = 8 << 20; /* set by the loader */

static __always_inline struct record *scratch(__u32 user)
{
	return bpf_map_lookup_elem(&record_scratch, &user);
}

/* The payload of a part that begins at `at`; NULL if there is no record or no room. It has PART_BYTES_MAX - sizeof(struct part). */
static __always_inline char *part_at(struct record *record, __u64 at)
{
	if (!record || at > PARTS_BYTES_MAX)
		return NULL;
	barrier_var(at); /* or the compiler adds first and checks later, and the verifier sees an unbounded pointer */
	return record->parts + at + sizeof(struct part);
}

/* Ends the part that begins at `at`, and returns where the next begins. `bytes` may have TRUNCATED. */
static __always_inline __u64 end_part(struct record *record, __u64 at, enum part_kind kind, __u64 bytes)
{
	struct part *part;

	barrier_var(
		at); /* The check is made here, or the verifiers of 5.10 and 6.1 lose its outcome where `at` was put on the stack since. */
	if (at > PARTS_BYTES_MAX)
		return at;
	barrier_var(at);
	part = (struct part *)(record->parts + at);
	part->kind = kind;
	part->flags = bytes & TRUNCATED ? PART_FLAG_TRUNCATED : 0;
	bytes &= ~TRUNCATED;
	if (bytes > PART_BYTES_MAX - sizeof(*part))
		return at;
	part->bytes = bytes;
	return (at + sizeof(*part) + bytes + 7) & ~7ull;
}

static __always_inline __u64 append(struct record *record, __u64 at, enum part_kind kind, const void *from, __u64 bytes)
{
	char *out = part_at(record, at);

	if (!out || bytes > PART_BYTES_MAX - sizeof(struct part) || bpf_probe_read_kernel(out, bytes, from))
		return at;
	return end_part(record, at, kind, bytes);
}

static __always_inline __u64 append_signal(struct record *record, __u64 at, enum part_kind kind, struct signal_fact *fact)
{
	__u64 frames = fact->stack_frames;

	if (!record || frames > STACK_FRAMES_MAX)
		return at;
	if (frames && record->used_eighths >= STACK_EIGHTHS_MAX) {
		frames = fact->stack_frames = 0;
		record->event.flags |= EVENT_FLAG_SHRUNK;
	}
	return append(record, at, kind, fact, sizeof(*fact) - sizeof(fact->stack) + frames * sizeof(fact->stack[0]));
}

static __always_inline __u64 append_sender(struct record *record, __u64 at, enum part_kind kind, const struct signal_fact *fact)
{
	struct sender_key key = {.process = fact->sender, .exec_id = fact->sender_exec_id};
	struct description *description;
	__u64 bytes;

	if (!fact->signo || fact->code > 0 || fact->sender.pid == record->event.key.pid)
		return at;
	description = bpf_map_lookup_elem(&senders, &key);
	if (!description)
		return at;
	bytes = description->exe_bytes + description->cgroup_bytes + description->args_bytes;
	if (bytes > sizeof(description->data))
		return at;
	return append(record, at, kind, description, sizeof(*description) - sizeof(description->data) + bytes);
}

/*
 * The steps of the report are global functions: the verifier looks at each once, by itself, with any arguments, instead of
 * once for each way that leads to it. So they take numbers only, and look their pointers up again. Each appends one part, or
 * some, at `at`, and returns where the next begins.
 */
static __always_inline struct memory *memory_of(const struct record *record)
{
	return record ? bpf_map_lookup_elem(&memories, &record->event.key) : NULL;
}

__u64 append_memory(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct memory *memory = memory_of(record);

	if (!memory)
		return at;
	record->event.threads = memory->threads;
	if (memory->signal.signo)
		at = append_signal(record, at, PART_SIGNAL, &memory->signal);
	if (memory->request.signo)
		at = append_signal(record, at, PART_REQUEST, &memory->request);
	if (memory->fault.signo)
		at = append(record, at, PART_FAULT, &memory->fault, sizeof(memory->fault));
	if (memory->handled_fault.signo)
		at = append(record, at, PART_HANDLED_FAULT, &memory->handled_fault, sizeof(memory->handled_fault));
	return at;
}

/* As much of it as is in use. */
#define OOM_BYTES(oom) (sizeof(*(oom)) - sizeof((oom)->cgroup) + ((oom)->cgroup_bytes & (PATH_BYTES_MAX - 1)))

/* A victim may end before it is marked, on another processor: its own last look at its memory has the sizes then. */
__u64 append_oom(__u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct record *record = scratch(SCRATCH_REPORT);
	char *out = part_at(record, at);
	struct oom *oom;

	if (!out)
		return at;
	oom = bpf_map_lookup_elem(&oom_victims, &record->event.key);
	if (oom)
		return append(record, at, PART_OOM, oom, OOM_BYTES(oom));
	if (!mm)
		return at;
	oom = (struct oom *)out;
	read_oom(oom, task, mm);
	return end_part(record, at, PART_OOM, OOM_BYTES(oom));
}

/* The kernel sent it SIGKILL, and that ended it: it may be a victim that is not marked yet. The stack tells, which the service reads. */
static __always_inline bool may_be_victim(const struct memory *memory)
{
	return memory && memory->signal.signo == SIGKILL && memory->signal.committed && memory->signal.siginfo == SIGINFO_PRIV;
}

__u64 append_exe(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct fs_struct *fs = READ(task, fs);
	struct record *record = scratch(user);
	char *out = part_at(record, at);

	if (!out || !mm || !fs)
		return at;
	return end_part(record, at, PART_EXE, read_path(out, &READ(mm, exe_file)->f_path, &fs->root));
}

__u64 append_build_id(__u32 user, __u64 at); /* identity.h */
static __always_inline __u64 append_published(__u32 user, __u64 at); /* thread.h */

__u64 append_cgroup(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	char *out = part_at(record, at);

	if (!out)
		return at;
	return end_part(record, at, PART_CGROUP, read_cgroup_path(out, cgroup_of((void *)bpf_get_current_task())));
}

__u64 append_ancestors(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = scratch(user);
	char *out = part_at(record, at);

	if (!out)
		return at;
	return end_part(record, at, PART_ANCESTORS,
			read_ancestors((struct ancestor *)out, READ(task, group_leader)) * sizeof(struct ancestor));
}

__u64 append_senders(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct memory *memory = memory_of(record);

	if (!memory)
		return at;
	at = append_sender(record, at, PART_SIGNAL_SENDER, &memory->signal);
	return append_sender(record, at, PART_REQUEST_SENDER, &memory->request);
}

/* The variables that OpenTelemetry defines for identity and trace, and no others: the rest of the environment stays. */
static __always_inline bool wanted_variable(const char *variable)
{
	__u64 head = *(const __u64 *)variable;

	return head == 0x5245535f4c45544full /* OTEL_SER */ || head == 0x5345525f4c45544full /* OTEL_RES */ ||
	       head == 0x5241504543415254ull /* TRACEPAR */ || head == 0x4154534543415254ull /* TRACESTA */;
}

/* A variable begins there in the page. */
static __always_inline void look_at_variable(struct environment *environment, __u64 begin, const char *variable)
{
	environment->last = begin;
	if (wanted_variable(variable))
		environment->begin[environment->found++ & (ENV_FOUND_MAX - 1)] = begin;
}

/* Behind each NUL among the eight bytes from `at`, a variable begins. */
__noinline __u64 look_at_word(__u32 user, __u64 at, __u64 bytes)
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
			look_at_variable(&record->environment, at + i + 1, word + i + 1);
	return 0;
}

/* Looks for them in the page's first bytes, eight at a time, as few have a NUL among them ("Determine if a word has a zero byte"). */
__noinline __u64 find_variables(__u32 user, __u64 bytes)
{
	struct record *record = scratch(user);

	if (!record || bytes > PAGE_BYTES)
		return 0;
	*(__u64 *)(record->page + bytes) = 0; /* What lies behind is of another read. */
	record->environment.found = 0;
	record->environment.last = 0;
	if (!record->environment.cut_off)
		look_at_variable(&record->environment, 0, record->page);
	for (__u64 at = 0; at < PAGE_BYTES; at += 8) {
		__u64 word = *(__u64 *)(record->page + at);

		barrier_var(at); /* or the two limits become one, which the verifier of 5.10 does not know any more */
		if (at >= bytes)
			break;
		if ((word - 0x0101010101010101ull) & ~word & 0x8080808080808080ull)
			look_at_word(user, at, bytes);
	}
	return record->environment.found;
}

/* Appends those that were found in the page and begin before `end`. Returns 0 if there may be more than have room. */
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
		if (i >= environment->found || begin >= end || begin >= PAGE_BYTES)
			return 1;
		n = bpf_probe_read_kernel_str(out + bytes, ENV_VARIABLE_BYTES_MAX, record->page + begin);
		if (n > 0)
			environment->bytes = bytes + n;
	}
	return environment->found == ENV_FOUND_MAX;
}

/* Looks through a page's worth. The next one begins at the variable that this one cuts off. Returns 0 if not all of it was seen. */
__noinline __u64 take_page(__u32 user, __u64 at)
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
	find_variables(user, bytes);
	next = environment->from + bytes < environment->end && environment->last ? environment->last : bytes;
	environment->cut_off = !environment->last;
	environment->from += next;
	return copy_variables(user, at, next) && bytes == wanted;
}

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
	environment->bytes = environment->cut_off = 0;
	for (int i = 0; i < ENV_PAGES_MAX && !truncated && environment->from < environment->end; i++)
		if (!take_page(user, at))
			truncated = TRUNCATED;
	if (environment->from < environment->end)
		truncated = TRUNCATED;
	return end_part(record, at, PART_ENV, (environment->bytes & (2 * ENV_BYTES_MAX - 1)) | truncated);
}

__u64 append_args(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct record *record = scratch(user);
	char *out = part_at(record, at);

	if (!out || !mm)
		return at;
	return end_part(record, at, PART_ARGS, read_args(out, mm, ARGS_BYTES_MAX));
}

static __always_inline struct last_words *last_words_of(const struct record *record)
{
	return record ? bpf_map_lookup_elem(&last_words, &record->event.key) : NULL;
}

/* Copies some of the last words, parts with their heads as they are. */
static __always_inline __u64 append_words(struct record *record, __u64 at, const char *from, __u64 bytes)
{
	if (at > PARTS_BYTES_MAX || bytes > LAST_WORDS_BYTES_MAX)
		return at;
	barrier_var(at);
	if (bpf_probe_read_kernel(record->parts + at, bytes, from))
		return at;
	return at + bytes;
}

__u64 append_last_exe(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct last_words *words = last_words_of(record);

	return words ? append_words(record, at, words->parts, words->exe_bytes) : at;
}

__u64 append_last_memory(__u64 at)
{
	struct record *record = scratch(SCRATCH_REPORT);
	struct last_words *words = last_words_of(record);

	if (!words || words->exe_bytes > PART_BYTES_MAX)
		return at;
	return append_words(record, at, words->parts + words->exe_bytes, words->bytes - words->exe_bytes);
}

/*
 * Keeps what the memory of current still shows, until its exit is reported. The value is made in the scratch record, where the two
 * lengths take the last bytes of the event, which is not in use here: it must be whole before it enters the map, as another thread
 * may do the same.
 */
static __always_inline void remember_last_words(const struct process_key *key)
{
	struct record *record = scratch(SCRATCH_LAST_WORDS);
	struct last_words *words;
	__u64 exe_bytes, bytes;

	if (!record)
		return;
	exe_bytes = append_build_id(SCRATCH_LAST_WORDS, append_exe(SCRATCH_LAST_WORDS, 0));
	bytes = append_published(SCRATCH_LAST_WORDS, exe_bytes);
	bytes = append_args(SCRATCH_LAST_WORDS, append_env(SCRATCH_LAST_WORDS, bytes));
	words = (void *)record->parts - offsetof(struct last_words, parts);
	words->exe_bytes = exe_bytes;
	words->bytes = bytes;
	bpf_map_update_elem(&last_words, key, words, BPF_ANY);
}

/*
 * Hands the record over, and wakes the reader if it sleeps. The consumer position lags on purpose, so the ring's own rule would
 * never notify (bpf_ringbuf_commit() asks for cons_pos == rec_pos), and a forced wake-up is an interrupt that costs more than all
 * the rest of the record: so the reader says when it sleeps, and whoever clears that flag wakes it.
 * The reader may fall asleep between the first look at the flag and the commit. The commit is an xchg(), a full barrier, so the
 * second look comes after it; and the reader sets the flag before it looks for records one last time. Where even the empty
 * record finds no room, the reader's own timeout ends its sleep.
 */
static __always_inline long hand_over(struct record *record, __u64 bytes)
{
	__u32 zero = 0;
	struct shared *shared = bpf_map_lookup_elem(&shared_map, &zero);
	volatile __u32 *waits = shared ? &shared->reader_waits : NULL;
	__u64 wakeup = BPF_RB_NO_WAKEUP;
	void *empty;
	long error;

	if (waits && *waits) {
		*waits = 0;
		wakeup = BPF_RB_FORCE_WAKEUP;
	}
	error = bpf_ringbuf_output(&events, &record->event, bytes, wakeup);
	if (waits && wakeup == BPF_RB_FORCE_WAKEUP && error)
		*waits = 1;
	if (waits && wakeup == BPF_RB_NO_WAKEUP && *waits) {
		*waits = 0;
		empty = bpf_ringbuf_reserve(&events, 8, 0);
		if (empty)
			bpf_ringbuf_discard(empty, BPF_RB_FORCE_WAKEUP);
	}
	return error;
}

/* Fills in who it is. */
static __always_inline void identify(struct event *event, struct task_struct *task, struct task_struct *leader,
				     struct signal_struct *signal)
{
	event->abi = EVENT_ABI;
	event->key = key_of(leader);
	event->vpid = vpid_of(signal);
	event->parent_pid = READ(leader, real_parent, tgid);
	event->tid = READ(task, pid);
	event->uid = READ(task, cred, euid.val);
	event->gid = READ(task, cred, egid.val);
	bpf_core_read(&event->comm, sizeof(event->comm), &leader->comm);
	bpf_core_read(&event->thread_comm, sizeof(event->thread_comm), &task->comm);
}

__u64 remember_dead(__u64 exe_at); /* restart.h */

static __always_inline void report(struct task_struct *task, struct task_struct *leader, struct signal_struct *signal,
				   __u32 status, bool has_memory, struct counters *counters)
{
	bool has_mm = READ(task, mm);
	struct record *record = scratch(SCRATCH_REPORT);
	struct event *event;
	__u64 at = 0, exe_at;

	if (!record)
		return;
	record->used_eighths = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) * 8 / ring_bytes;
	event = &record->event;
	identify(event, task, leader, signal);
	event->flags = record->used_eighths >= DETAILS_EIGHTHS_MAX ? EVENT_FLAG_SHRUNK : 0;
	event->time_ns = bpf_ktime_get_boot_ns();
	event->status_raw = status;
	event->seccomp_mode = READ(task, seccomp.mode);
	event->pdeath_signal = READ(leader, pdeath_signal);
	event->ptrace = READ(task, ptrace) | READ(leader, ptrace);
	event->threads = 0;

	if (has_memory)
		at = append_memory(at);
	if (READ(signal, oom_mm))
		event->flags |= EVENT_FLAG_OOM_VICTIM;
	if (event->flags & EVENT_FLAG_OOM_VICTIM || (has_memory && may_be_victim(memory_of(record))))
		at = append_oom(at);
	exe_at = at;
	at = has_mm ? append_build_id(SCRATCH_REPORT, append_exe(SCRATCH_REPORT, at)) : append_last_exe(at);
	if (at > exe_at && record->used_eighths < DETAILS_EIGHTHS_MAX)
		remember_dead(exe_at);
	at = append_cgroup(at);
	if (record->used_eighths < ANCESTORS_EIGHTHS_MAX)
		at = append_ancestors(SCRATCH_REPORT, at);
	if (record->used_eighths < DETAILS_EIGHTHS_MAX) {
		if (has_memory)
			at = append_senders(at);
		if (has_mm)
			at = append_args(SCRATCH_REPORT, append_env(SCRATCH_REPORT, append_published(SCRATCH_REPORT, at)));
		else
			at = append_last_memory(at);
	}
	if (!has_mm)
		bpf_map_delete_elem(&last_words, &event->key);
	if (at > sizeof(record->parts) || hand_over(record, sizeof(*event) + at))
		counters->lost_ring_full++;
	else
		counters->deaths++;
}
