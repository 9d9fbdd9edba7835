// SPDX-License-Identifier: Apache-2.0
// A program with two threads that publish their current span. Then one of them triggers the termination: the worker, unless the first
// argument is `main`. The second argument is the library to load, if the program is not linked with a publisher.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// OTEP 4947, "Thread-Local Context Record".
struct context {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t valid;
	uint8_t trace_flags;
	uint16_t attributes_bytes;
	uint8_t attributes[640];
};

static struct context of_main = {
	.trace_id = {0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11},
	.span_id = {0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11},
	.valid = 1,
};
static struct context of_worker = {
	.trace_id = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36},
	.span_id = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7},
	.valid = 1,
	.trace_flags = 1,
};

// Key indexes are those of publish_process_context(): the method, the route, and the tenant.
static void add_attribute(struct context *to, int index, const char *value)
{
	uint8_t *end = to->attributes + to->attributes_bytes;

	*end++ = index;
	*end++ = strlen(value);
	memcpy(end, value, strlen(value));
	to->attributes_bytes += 2 + strlen(value);
}

extern void attach(void *context) __attribute__((weak));
static void (*attach_context)(void *context);
static const char *how;
static pthread_barrier_t both_attached;

static int mode_is(const char *way)
{
	return strcmp(how, way) == 0;
}

static uint8_t *text(uint8_t *out, int tag, const char *value)
{
	*out++ = tag;
	*out++ = strlen(value);
	return (uint8_t *)stpcpy((char *)out, value);
}

static uint8_t *message(uint8_t *out, int tag, const uint8_t *from, size_t bytes)
{
	*out++ = tag;
	*out++ = bytes;
	return (uint8_t *)memcpy(out, from, bytes) + bytes;
}

// A KeyValue of opentelemetry.proto.common.v1.
static uint8_t *attribute(uint8_t *out, int tag, const char *key, const char *value)
{
	uint8_t any[64], pair[128], *end;

	end = text(any, 0x0a, value);
	end = message(text(pair, 0x0a, key), 0x12, any, end - any);
	return message(out, tag, pair, end - pair);
}

// A KeyValue with the names of attributes, by key index.
static uint8_t *key_map(uint8_t *out, int tag)
{
	static const char *const names[] = {"http.request.method", "http.route", "tenant"};
	uint8_t any[128], array[128], pair[128], *end = array;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		end = message(end, 0x0a, any, text(any, 0x0a, names[i]) - any);
	end = message(any, 0x2a, array, end - array);
	end = message(text(pair, 0x0a, "threadlocal.attribute_key_map"), 0x12, any, end - any);
	return message(out, tag, pair, end - pair);
}

// OTEP 4719, "Publication Protocol": opentelemetry.proto.processcontext.v1development.ProcessContext.
static void publish_process_context(const char *schema)
{
	struct {
		char signature[8];
		uint32_t version, payload_bytes;
		uint64_t published_at_ns, payload;
	} *header;
	uint8_t resource[128], *payload, *end;
	int fd = memfd_create("OTEL_CTX", 0);

	if (fd < 0 || ftruncate(fd, 4096))
		exit(1);
	header = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (header == MAP_FAILED || madvise(header, 4096, MADV_DONTFORK))
		exit(1);
	payload = (uint8_t *)(header + 1);
	end = attribute(resource, 0x0a, "service.name", "threads");
	end = message(payload, 0x0a, resource, end - resource);
	end = attribute(end, 0x12, "threadlocal.schema_version", schema);
	end = key_map(end, 0x12);
	header->version = 2;
	header->payload_bytes = end - payload;
	header->published_at_ns = 1;
	header->payload = (uintptr_t)payload;
	memcpy(header->signature, "OTEL_CTX", 8);
}

#define HASH 0x976c2864u // of the variable's name
#define PLENTY (4 << 20)

// Appends a fake object to the list of the dynamic linker: the list is endless, or a table of the object is.
static void corrupt_object_list(void)
{
	static struct link_map object;
	static ElfW(Dyn) section[8];
	static const struct {
		uint32_t buckets, first, words, shift;
		uint64_t filter;
		uint32_t bucket, before_chain, chain;
	} table = {.buckets = 1, .words = 1, .filter = ~0ull, .bucket = 1, .chain = HASH};
	static ElfW(Sym) symbols[2] = {[1] = {.st_info = STT_TLS, .st_shndx = 1}};
	ElfW(Dyn) *entry = section;
	uint8_t *pages = mmap(NULL, PLENTY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (pages == MAP_FAILED)
		exit(1);
	object.l_ld = section;
	object.l_next = &object;
	if (mode_is("endless-section")) {
		memset(pages, 0x77, PLENTY);
		object.l_ld = (void *)pages;
	} else if (mode_is("endless-chain")) {
		for (size_t i = 0; i < PLENTY / sizeof(HASH); i++)
			((uint32_t *)pages)[i] = HASH; // the last bit is not set, so the chain continues
		memcpy(pages, &table, sizeof(table));
		*entry++ = (ElfW(Dyn)){DT_GNU_HASH, {(uintptr_t)pages}};
		*entry++ = (ElfW(Dyn)){DT_SYMTAB, {(uintptr_t)pages}};
		*entry++ = (ElfW(Dyn)){DT_STRTAB, {(uintptr_t)pages}};
	} else if (mode_is("endless-relocations")) {
		memcpy(pages, &table, sizeof(table));
		*entry++ = (ElfW(Dyn)){DT_GNU_HASH, {(uintptr_t)pages}};
		*entry++ = (ElfW(Dyn)){DT_SYMTAB, {(uintptr_t)symbols}};
		*entry++ = (ElfW(Dyn)){DT_STRTAB, {(uintptr_t) "otel_thread_ctx_v1"}};
		*entry++ = (ElfW(Dyn)){DT_RELA, {(uintptr_t)pages + 4096}};
		*entry++ = (ElfW(Dyn)){DT_RELASZ, {1ull << 62}};
	} else if (mode_is("garbage-list")) {
		object.l_next = (void *)~7ull;
		object.l_ld = (void *)~15ull;
	}
	_r_debug.r_map->l_next = &object;
}

static void *work(void *unused)
{
	add_attribute(&of_worker, 0, "GET");
	add_attribute(&of_worker, 1, "/users/:id");
	add_attribute(&of_worker, 2, "acme");
	if (mode_is("much")) { // an index without a name, again and again
		memset(of_worker.attributes + of_worker.attributes_bytes, 0xff, sizeof(of_worker.attributes) - of_worker.attributes_bytes);
		of_worker.attributes_bytes = UINT16_MAX;
	}
	attach_context(&of_worker);
	pthread_barrier_wait(&both_attached);
	if (mode_is("main"))
		pause();
	if (mode_is("invalid"))
		of_worker.valid = 0;
	if (mode_is("detached"))
		attach_context(NULL);
	if (mode_is("zero"))
		memset(of_worker.trace_id, 0, sizeof(of_worker.trace_id));
	if (strncmp(how, "endless-", 8) == 0 || mode_is("garbage-list"))
		corrupt_object_list();
	if (mode_is("fault"))
		*(volatile int *)8 = 1;
	if (mode_is("exit"))
		exit(3);
	if (mode_is("terminate"))
		kill(getpid(), SIGTERM);
	if (mode_is("wait")) {
		puts("waiting");
		fflush(stdout);
		pause();
	}
	abort();
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t worker;
	void *library;

	how = argv[1];
	attach_context = attach;
	if (argc > 2) {
		library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
		attach_context = library ? (void (*)(void *))dlsym(library, "attach") : NULL;
	}
	if (!attach_context || pthread_barrier_init(&both_attached, NULL, 2))
		return 1;
	if (!mode_is("hidden"))
		publish_process_context(mode_is("schema") ? "go_pprof_labels_v1" : "tlsdesc_v1_dev");
	attach_context(&of_main);
	if (pthread_create(&worker, NULL, work, NULL))
		return 1;
	pthread_barrier_wait(&both_attached);
	if (mode_is("main"))
		abort();
	for (;;)
		pause();
}
