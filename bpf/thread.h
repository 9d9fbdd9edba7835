/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The span that was open in the thread that brought the death, as that thread publishes it for readers outside (OpenTelemetry's OTEP
 * 4947): a thread-local variable, otel_thread_ctx_v1, that points to a record. Read where the published context is (identity.h), after it,
 * and only if the loader asks for it: without that, no line of this file runs.
 *
 * Whose death is read in the last thread that ends, which seldom is the one that brought it. So that one is noted when it does, with its
 * thread pointer; its memory is that of all of them, and nobody writes to it any more. The variable is found as a debugger finds it: by the
 * list of loaded objects that the dynamic linker keeps, the symbol table of each, and what the linker wrote for the variable.
 */
#pragma once

#define CULPRITS_MAX 512
#define READS_MAX 16384 /* of the dead's memory, until the search gives up: 1.6 ms at worst (decisions/0039) */
#define OBJECTS_MAX 512
#define DYNAMIC_MAX 256
#define CHAIN_MAX 1024
#define RELOCATIONS_MAX 8192
#define STATIC_TLS_BYTES_MAX 0x400000 /* no object is loaded below (ELF executables of arm64 begin there) */

/* include/uapi/linux/elf.h, and the generic ABI's "Dynamic Section" */
#define PT_LOAD 1
#define PT_DYNAMIC 2
#define PT_TLS 7
#define DT_NULL 0
#define DT_PLTRELSZ 2
#define DT_STRTAB 5
#define DT_SYMTAB 6
#define DT_RELA 7
#define DT_RELASZ 8
#define DT_DEBUG 21
#define DT_JMPREL 23
#define DT_GNU_HASH 0x6ffffef5
#define DT_RELACOUNT 0x6ffffff9
#define STT_TLS 6
/* The psABIs of x86-64 and arm64; no number of the one means anything for the other. */
#define R_X86_64_DTPMOD64 16
#define R_X86_64_TPOFF64 18
#define R_X86_64_TLSDESC 36
#define R_AARCH64_TLS_DTPMOD 1028
#define R_AARCH64_TLS_TPREL 1030
#define R_AARCH64_TLSDESC 1031
#define NR_EXIT_GROUP_X86 231
#define NR_EXIT_GROUP_ARM64 94

/* "otel_thread_ctx_v1" and its NUL, as numbers, and its hash (glibc's elf/dl-new-hash.h). */
#define VARIABLE_NAME_BYTES 19
#define VARIABLE_NAME_0 0x7268745f6c65746full
#define VARIABLE_NAME_1 0x5f7874635f646165ull
#define VARIABLE_NAME_2 0x3176ull
#define VARIABLE_HASH 0x976c2864ull

volatile const bool wants_thread_context = false; /* set by the loader: look for it at all */

struct elf_symbol {
	__u32 name;
	__u8 info;
	__u8 other;
	__u16 section;
	__u64 value;
	__u64 bytes;
};

struct relocation {
	__u64 offset;
	__u64 info;
	__u64 addend;
};

struct link_map {
	__u64 bias;
	__u64 name;
	__u64 dynamic;
	__u64 next;
};

/* The thread that brought a death. */
struct culprit {
	__u64 thread_pointer; /* 0: not known */
	__u32 tid;
	__u32 signo; /* that it raised; 0: it called exit_group(2) */
};

/* An LRU, so that nobody has to take out those of who did not die of it. The loader makes it small where it is not needed. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CULPRITS_MAX);
	__type(key, struct process_key);
	__type(value, struct culprit);
} culprits SEC(".maps");

/*
 * What the kernel keeps of a thread pointer is what the register had when the thread last left its processor, or what arch_prctl(2),
 * clone(2) or exec set since (do_arch_prctl_64() and copy_thread() of arch/x86/kernel, __switch_to() of both). C libraries set it once, on
 * x86-64 by these calls alone. On arm64 the first thread sets it by itself: until it first left its processor, it is 0 here.
 */
static __always_inline __u64 thread_pointer_of(struct task_struct *task)
{
	void *thread = (void *)task + bpf_core_field_offset(struct task_struct, thread);
	__u64 pointer = 0;

	if (bpf_core_field_exists(((struct thread_struct___x86 *)0)->fsbase))
		bpf_core_read(&pointer, sizeof(pointer), &((struct thread_struct___x86 *)thread)->fsbase);
	else if (bpf_core_field_exists(((struct thread_struct___arm64 *)0)->uw.tp_value))
		bpf_core_read(&pointer, sizeof(pointer), &((struct thread_struct___arm64 *)thread)->uw.tp_value);
	return pointer;
}

/* current brings the death of its process, by that signal. Where two threads do, nobody knows which one did. */
static __always_inline void note_culprit(__u32 signo)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct process_key key = key_of(READ(task, group_leader));
	struct culprit *known = bpf_map_lookup_elem(&culprits, &key);
	struct culprit culprit = {.tid = READ(task, pid), .signo = signo};

	if (!known || known->tid == culprit.tid)
		culprit.thread_pointer = thread_pointer_of(task);
	bpf_map_update_elem(&culprits, &key, &culprit, BPF_ANY);
}

/* Is current in exit_group(2), with that code? Its argument is compared, too: of two threads that call it, the first one's counts. */
static __always_inline bool in_exit_group(__u32 status)
{
	void *registers = current_registers();
	__u64 code = 0;
	__s32 nr = current_syscall();

	if (!registers)
		return false;
	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->di)) {
		if (nr != NR_EXIT_GROUP_X86)
			return false;
		bpf_core_read(&code, sizeof(code), &((struct pt_regs___x86 *)registers)->di);
	} else if (bpf_core_field_exists(((struct pt_regs___arm64 *)0)->orig_x0)) {
		if (nr != NR_EXIT_GROUP_ARM64)
			return false;
		bpf_core_read(&code, sizeof(code), &((struct pt_regs___arm64 *)registers)->orig_x0);
	}
	return (code & 0xff) << 8 == status;
}

/* current ends: was it the one that asked for the end of all? */
static __always_inline bool note_exit(struct task_struct *task)
{
	__u32 status = READ(task, signal, group_exit_code);

	if (!status || !in_exit_group(status))
		return false;
	note_culprit(0);
	return true;
}

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym __weak;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym __weak;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym __weak;

/* The kernels that have the iterator of mappings have this one, too, and where it is missing there is no published context. */
static __always_inline bool can_search(void)
{
	return bpf_core_type_exists(struct bpf_iter_task_vma___kernel);
}

static __always_inline struct search *search_of(__u32 user)
{
	struct record *record = scratch(user);

	return record ? &record->search : NULL;
}

/* False: it is not resident, or there was enough to read. */
static __always_inline bool read_dead(struct search *search, void *out, __u32 bytes, __u64 from)
{
	return search->reads++ < READS_MAX && !bpf_probe_read_user(out, bytes, (void *)from);
}

/* An address of a dynamic section: glibc has added where the object lies, musl leaves it as the file has it. */
static __always_inline __u64 loaded(const struct search *search, __u64 address)
{
	return address < search->bias ? address + search->bias : address;
}

/*
 * The steps are global functions, as those of the report are (record.h), and return 1 for found. The executable first: where it lies, its
 * dynamic section, and its thread-local segment.
 */
__u64 find_executable(__u32 user)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = READ(task, mm);
	struct record *record = scratch(user);
	struct program_header *segment;
	__u64 count, page, dynamic = 0;
	struct search *search;

	if (!record || !mm || !can_search())
		return 0;
	search = &record->search;
	segment = program_headers(record);
	count = read_executable(record, mm, &page);
	search->bias = 0;
	search->tls_bytes = 0;
	UNROLL
	for (int i = 0; i < PROGRAM_HEADERS_MAX; i++) {
		if (i >= count)
			break;
		if (segment[i].type == PT_LOAD && !segment[i].offset)
			search->bias = page - segment[i].vaddr;
		if (segment[i].type == PT_DYNAMIC)
			dynamic = segment[i].vaddr;
		if (segment[i].type == PT_TLS) {
			search->tls_bytes = segment[i].memsz;
			search->tls_address = segment[i].vaddr;
			search->tls_align = segment[i].align ? segment[i].align : 1;
		}
	}
	search->dynamic = dynamic ? search->bias + dynamic : 0;
	return dynamic != 0;
}

/* What the dynamic section of the object says of its tables. */
__u64 read_dynamic(__u32 user)
{
	struct search *search = search_of(user);
	struct bpf_iter_num entries;
	int *i;

	if (!search || !can_search())
		return 0;
	search->hash = search->symbols = search->names = search->debug = 0;
	search->relocations = search->relocations_bytes = search->relative_count = 0;
	search->lazy_relocations = search->lazy_relocations_bytes = 0;
	bpf_iter_num_new(&entries, 0, DYNAMIC_MAX);
	while ((i = bpf_iter_num_next(&entries))) {
		if (!read_dead(search, search->words, 16, search->dynamic + (__u64)*i * 16))
			break;
		if (search->words[0] == DT_NULL)
			break;
		if (search->words[0] == DT_GNU_HASH)
			search->hash = loaded(search, search->words[1]);
		else if (search->words[0] == DT_SYMTAB)
			search->symbols = loaded(search, search->words[1]);
		else if (search->words[0] == DT_STRTAB)
			search->names = loaded(search, search->words[1]);
		else if (search->words[0] == DT_RELA)
			search->relocations = loaded(search, search->words[1]);
		else if (search->words[0] == DT_RELASZ)
			search->relocations_bytes = search->words[1];
		else if (search->words[0] == DT_RELACOUNT)
			search->relative_count = search->words[1];
		else if (search->words[0] == DT_JMPREL)
			search->lazy_relocations = loaded(search, search->words[1]);
		else if (search->words[0] == DT_PLTRELSZ)
			search->lazy_relocations_bytes = search->words[1];
		else if (search->words[0] == DT_DEBUG)
			search->debug = search->words[1];
	}
	bpf_iter_num_destroy(&entries);
	return search->hash && search->symbols && search->names;
}

/* Is the symbol of that number the variable, and defined here? Then its value is its offset in the object's thread-local segment. */
static __always_inline bool is_variable(struct search *search, __u64 number)
{
	struct elf_symbol symbol;
	__u64 name[3] = {};

	if (!read_dead(search, &symbol, sizeof(symbol), search->symbols + number * sizeof(symbol)))
		return false;
	if ((symbol.info & 15) != STT_TLS || !symbol.section)
		return false;
	if (!read_dead(search, name, VARIABLE_NAME_BYTES, search->names + symbol.name))
		return false;
	if (name[0] != VARIABLE_NAME_0 || name[1] != VARIABLE_NAME_1 || name[2] != VARIABLE_NAME_2)
		return false;
	search->symbol = number;
	search->value = symbol.value;
	return true;
}

/* By the GNU hash table (glibc's do_lookup_x()): a filter that keeps nearly all objects out, a bucket, and the chain that begins there. */
__u64 find_symbol(__u32 user)
{
	struct search *search = search_of(user);
	__u64 filter_words, buckets, filter;
	struct bpf_iter_num links;
	__u32 head[4], hash;
	__u64 found = 0;

	if (!search || !can_search() || !read_dead(search, head, sizeof(head), search->hash))
		return 0;
	filter_words = head[2];
	if (!head[0] || !filter_words || filter_words & (filter_words - 1))
		return 0;
	filter = search->hash + sizeof(head);
	buckets = filter + filter_words * 8;
	if (!read_dead(search, search->words, 8, filter + ((VARIABLE_HASH / 64) & (filter_words - 1)) * 8))
		return 0;
	if (!(search->words[0] >> (VARIABLE_HASH & 63) & 1) || !(search->words[0] >> (VARIABLE_HASH >> (head[3] & 31) & 63) & 1))
		return 0;
	if (!read_dead(search, &hash, sizeof(hash), buckets + VARIABLE_HASH % head[0] * 4) || hash < head[1])
		return 0;
	search->symbol = hash;
	search->chain = buckets + (__u64)head[0] * 4 - (__u64)head[1] * 4;
	bpf_iter_num_new(&links, 0, CHAIN_MAX);
	while (bpf_iter_num_next(&links)) {
		if (!read_dead(search, &hash, sizeof(hash), search->chain + search->symbol * 4))
			break;
		if ((hash | 1) == (VARIABLE_HASH | 1) && is_variable(search, search->symbol)) {
			found = 1;
			break;
		}
		if (hash & 1) /* the last one of its chain */
			break;
		search->symbol++;
	}
	bpf_iter_num_destroy(&links);
	return found;
}

/*
 * Where the variable of that module lies for the thread, by its own vector of modules (glibc's dtv_t, nptl/descr.h): before it, how many
 * there is room for; its first word is the generation that it is up to; an entry is 16 bytes, -1 until the thread first touches it.
 */
static __always_inline __u64 in_module(struct search *search, __u64 module, __u64 offset, __u64 generation)
{
	__u64 vector, length, current_generation, block;

	if (!read_dead(search, &vector, 8, search->thread_pointer + search->vector_at) ||
	    !read_dead(search, &length, 8, vector - 16) || !read_dead(search, &current_generation, 8, vector))
		return 0;
	if (!module || module > length || generation > current_generation)
		return 0;
	if (!read_dead(search, &block, 8, vector + module * 16) || !block || block == -1ull)
		return 0;
	return block + offset;
}

/* What the linker wrote where a relocation asked for it: 0, or the address of the thread's variable. */
static __always_inline __u64 by_relocation(struct search *search, __u64 type, __u64 at)
{
	__u64 words[3];

	if (!read_dead(search, words, 16, at))
		return 0;
	if (type == R_X86_64_TPOFF64 || type == R_AARCH64_TLS_TPREL)
		return search->thread_pointer + words[0];
	if (type == R_X86_64_DTPMOD64 || type == R_AARCH64_TLS_DTPMOD)
		return in_module(search, words[0], search->value, 0);
	/* A descriptor. An offset from the thread pointer, or where module, offset and generation are (glibc's struct tlsdesc_dynamic_arg). */
	if ((__s64)words[1] < STATIC_TLS_BYTES_MAX)
		return search->thread_pointer + words[1];
	if (!read_dead(search, words, sizeof(words), words[1]))
		return 0;
	return in_module(search, words[0], words[1], words[2]);
}

/* Looks for the relocation of the variable among those from `from` to `end`. */
__u64 find_relocation(__u32 user, __u64 from, __u64 end)
{
	struct search *search = search_of(user);
	struct bpf_iter_num entries;
	struct relocation entry;
	__u64 type;
	int *i;

	if (!search || !can_search())
		return 0;
	search->variable = 0;
	bpf_iter_num_new(&entries, 0, RELOCATIONS_MAX);
	while ((i = bpf_iter_num_next(&entries))) {
		__u64 at = from + (__u64)*i * sizeof(entry);

		if (at >= end || !read_dead(search, &entry, sizeof(entry), at))
			break;
		type = entry.info & 0xffffffff;
		if (type != R_X86_64_TLSDESC && type != R_X86_64_TPOFF64 && type != R_X86_64_DTPMOD64 &&
		    type != R_AARCH64_TLSDESC && type != R_AARCH64_TLS_TPREL && type != R_AARCH64_TLS_DTPMOD)
			continue;
		/* Bound to the object itself (-Bsymbolic), it names no symbol but an offset, or the module alone. */
		if (entry.info >> 32 != search->symbol &&
		    (entry.info >> 32 ||
		     (entry.addend != search->value && type != R_X86_64_DTPMOD64 && type != R_AARCH64_TLS_DTPMOD)))
			continue;
		search->variable = by_relocation(search, type, search->bias + entry.offset);
		break;
	}
	bpf_iter_num_destroy(&entries);
	return search->variable != 0;
}

/*
 * The executable's own variables lie at a distance from the thread pointer that the linker has worked out, without a relocation ("ELF
 * Handling For Thread-Local Storage": variant II on x86-64, below the thread pointer; variant I on arm64, behind two words).
 */
static __always_inline __u64 in_executable(const struct search *search)
{
	__u64 mask = search->tls_align - 1;

	if (!search->tls_bytes)
		return 0;
	if (bpf_core_field_exists(((struct thread_struct___x86 *)0)->fsbase))
		return search->thread_pointer + search->value - search->tls_bytes -
		       ((-search->tls_address - search->tls_bytes) & mask);
	return search->thread_pointer + search->value + 16 + ((search->tls_address - 16) & mask);
}

/* The object that the search is at. Leaves in `debug` what it says of the linker's list. */
__u64 look_into_object(__u32 user, __u64 is_executable)
{
	struct search *search = search_of(user);

	if (!search || !can_search() || !read_dynamic(user) || !find_symbol(user))
		return 0;
	search->found = 1; /* the first object that has it is the one that counts, in the order of the list */
	if (is_executable) {
		search->variable = in_executable(search);
		return search->variable != 0;
	}
	if (find_relocation(user, search->lazy_relocations, search->lazy_relocations + search->lazy_relocations_bytes))
		return 1;
	return find_relocation(user, search->relocations + search->relative_count * sizeof(struct relocation),
			       search->relocations + search->relocations_bytes);
}

/* Through the executable, and then the linker's list (struct r_debug and struct link_map, glibc's elf/link.h), which begins with it. */
__u64 find_variable(__u32 user)
{
	struct search *search = search_of(user);
	struct bpf_iter_num objects;
	struct link_map object;
	__u64 found;

	if (!search || !can_search() || !find_executable(user))
		return 0;
	found = look_into_object(user, 1);
	if (found || search->found || !search->debug || !read_dead(search, &search->next, 8, search->debug + 8) ||
	    !read_dead(search, &object, sizeof(object), search->next))
		return found;
	search->next = object.next;
	bpf_iter_num_new(&objects, 0, OBJECTS_MAX);
	while (!search->found && search->next && bpf_iter_num_next(&objects)) {
		if (!read_dead(search, &object, sizeof(object), search->next))
			break;
		search->next = object.next;
		search->bias = object.bias;
		search->dynamic = object.dynamic;
		found = look_into_object(user, 0);
	}
	bpf_iter_num_destroy(&objects);
	return found;
}

/* Appends the context that was attached to the thread that brought the death, if it is known, and one was. */
__u64 append_thread_context(__u32 user, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct process_key key = key_of(READ(task, group_leader));
	struct culprit *culprit = bpf_map_lookup_elem(&culprits, &key);
	struct record *record = scratch(user);
	struct search *search = search_of(user);
	struct thread_context *context;
	__u64 *ids;

	if (!record || !search || !culprit || !culprit->thread_pointer || !can_search())
		return at;
	/* Something else ended it: a SIGKILL during the core dump, or another thread that was faster. */
	if ((READ(task, signal, group_exit_code) & 0x7f) != culprit->signo)
		return at;
	search->thread_pointer = culprit->thread_pointer;
	search->vector_at = bpf_core_field_exists(((struct thread_struct___x86 *)0)->fsbase) ? 8 : 0;
	search->reads = 0;
	search->found = 0;
	if (!find_variable(user) || !read_dead(search, &search->next, 8, search->variable) || !search->next)
		return at;
	context = &search->context;
	ids = (__u64 *)context;
	if (!read_dead(search, context, sizeof(*context), search->next))
		return at;
	if (context->valid != 1 || !(ids[0] | ids[1]) || !ids[2])
		return at;
	return append(record, at, PART_THREAD_CONTEXT, context, sizeof(*context));
}

/* Appends what the process published: its context, and where the loader asks for it, that of the thread. */
static __always_inline __u64 append_published(__u32 user, __u64 at)
{
	__u64 next = append_context(user, at);

	return wants_thread_context && next != at ? append_thread_context(user, next) : next;
}
