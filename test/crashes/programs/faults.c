// SPDX-License-Identifier: Apache-2.0
// A program that crashes in the way that its argument names: those that differ by the address, the mapping, the instruction or the message.
// Functions are neither inlined nor merged, and each does something after its call, so that none is a jump.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUNCTION static __attribute__((noinline, noclone))

volatile int sink;
volatile int *volatile nowhere;

struct item {
	char name[24];
	struct item *next;
};

FUNCTION int last_name(struct item *item)
{
	sink++;
	return item->next->name[0] + sink;
}

FUNCTION int walks(int n)
{
	static struct item only;

	sink = last_name(&only) + n;
	return sink;
}

FUNCTION int writes(volatile int *p, int n)
{
	*p = n;
	sink = *p;
	return sink;
}

FUNCTION int reads(volatile int *p)
{
	sink = *p;
	return sink + 1;
}

FUNCTION int writes_constant(int n)
{
	static const int constant[64] = {1};

	return writes((int *)&constant[3], n) + 1;
}

FUNCTION int writes_code(int n)
{
	return writes((int *)(void *)writes_constant, n) + 1;
}

FUNCTION int reads_wild(int n)
{
	return reads((int *)(0x414141414140 + (long)n)) + 1;
}

FUNCTION int reads_text(int n)
{
	return reads((int *)(0x6465736e65636966 + (long)n)) + 1;
}

FUNCTION int reads_unmapped(int n)
{
	int *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(p, 1 << 20);
	return reads(p + n) + 1;
}

FUNCTION int reads_beyond_file(int n)
{
	char path[] = "/tmp/truncated-XXXXXX";
	int fd = mkstemp(path);
	int *p;

	sink = ftruncate(fd, 3 * 4096);
	p = mmap(0, 3 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	sink = ftruncate(fd, 100);
	unlink(path);
	return reads(p + 4096 / 4 + n) + 1;
}

FUNCTION int runs_privileged(int n)
{
	__asm__ volatile("cli");
	sink = n;
	return n;
}

FUNCTION int runs_unknown(int n)
{
	__asm__ volatile(".byte 0x06");
	sink = n;
	return n;
}

FUNCTION int breaks(int n)
{
	__asm__ volatile("int3");
	sink = n;
	return n;
}

FUNCTION int misaligned(int n)
{
	__asm__ volatile("movaps (%0), %%xmm0" ::"r"((long)&sink | 1) : "xmm0");
	sink = n;
	return n;
}

FUNCTION int forbidden_call(int n)
{
	sink = syscall(SYS_acct, 0);
	return sink + n;
}

FUNCTION int calls_forbidden(int n)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_acct, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	return forbidden_call(n) + 1;
}

FUNCTION int overflows_buffer(int n)
{
	char buffer[8];

	memcpy(buffer, "0123456789abcdef", n + 8);
	sink = buffer[n];
	return sink;
}

FUNCTION int smashes_canary(int n)
{
	char pad[16];
	volatile char *p = pad;

	for (int i = 0; i < n + 26; i++)
		p[i] = 65;
	sink = pad[3];
	return n;
}

FUNCTION int corrupts_heap(int n)
{
	volatile char *p = malloc(24);

	for (int i = 0; i < 48; i++)
		p[i] = 0x7f;
	p = malloc(4096 + n);
	sink = p[n];
	return sink;
}

FUNCTION int frees_other(int n)
{
	static char other[64];
	char *volatile p = other + 16;

	free(p);
	sink = n;
	return n;
}

FUNCTION int ping(int n);

FUNCTION int pong(int n)
{
	sink = ping(n + 1) + 1;
	return sink;
}

FUNCTION int ping(int n)
{
	volatile char pad[64];

	pad[n & 63] = n;
	sink = pong(n + 1) + pad[0];
	return sink;
}

FUNCTION int bounded(int n)
{
	if (n == 0)
		return writes(nowhere, 1);
	sink = bounded(n - 1) + 1;
	return sink;
}

static void *overflows(void *x)
{
	sink = ping((long)x);
	return 0;
}

FUNCTION int overflows_thread(int n)
{
	pthread_t id;

	pthread_create(&id, 0, overflows, (void *)(long)n);
	pthread_join(id, 0);
	return sink;
}

static void aborts_again(int signo)
{
	signal(signo, SIG_DFL);
	abort();
}

static void raises_again(int signo)
{
	signal(signo, SIG_DFL);
	raise(signo);
}

static void exits(int signo)
{
	_exit(signo);
}

static void returns_again(int signo)
{
	signal(signo, SIG_DFL);
}

/* On a stack of its own, as crash reporters do. */
FUNCTION int reported(int n, void (*handler)(int))
{
	static char stack[64 << 10];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

	sigaltstack(&alternate, 0);
	sigaction(SIGSEGV, &action, 0);
	return writes(nowhere, n) + 1;
}

FUNCTION int recurses_reported(int n)
{
	static char stack[64 << 10];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = aborts_again, .sa_flags = SA_ONSTACK};

	sigaltstack(&alternate, 0);
	sigaction(SIGSEGV, &action, 0);
	return ping(n) + 1;
}

static void next_signal(int signo)
{
	if (signo == SIGRTMIN + 4)
		sink = writes(nowhere, signo);
	signal(signo + 1, next_signal);
	raise(signo + 1);
	sink++;
}

FUNCTION int nests(int n)
{
	signal(SIGRTMIN, next_signal);
	raise(SIGRTMIN);
	sink++;
	return n;
}

/* The child shares the memory until it has crashed. */
FUNCTION int in_child(int n)
{
	if (vfork() == 0)
		sink = writes(nowhere, n);
	sink = wait(0);
	return sink;
}

FUNCTION int in_library(int n)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 32);
	int (*entry)(int);

	path[length] = 0;
	strcpy(strrchr(path, '/') + 1, "libcrashes.so");
	entry = (int (*)(int))dlsym(dlopen(path, RTLD_NOW), "library_entry");
	sink = entry(n);
	return sink + 1;
}

FUNCTION int unlinks_itself(const char *self, int n)
{
	unlink(self);
	return walks(n) + 1;
}

FUNCTION int replaces_itself(const char *self, int n)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s.new", self);
	fd = creat(path, 0755);
	sink = write(fd, "another program", 15);
	close(fd);
	rename(path, self);
	return walks(n) + 1;
}

/* In a function of the C library that is chosen at the start, and written in assembly. */
FUNCTION int measures(int n)
{
	size_t (*volatile length)(const char *) = strlen;

	sink = length((char *)(long)(n + 8));
	return sink;
}

/* A call at the end is a jump: the stack has no trace of this function. */
FUNCTION int jumps_at_its_end(int n)
{
	sink++;
	return writes(nowhere, n);
}

FUNCTION int calls_one_that_jumps(int n)
{
	sink = jumps_at_its_end(n) + 1;
	return sink;
}

FUNCTION int outer(char **argv, int n)
{
	int r = 0;

#define WAY(name, call) \
	if (!strcmp(argv[1], name)) \
		r = call
	WAY("null member", walks(n));
	WAY("constant", writes_constant(n));
	WAY("code", writes_code(n));
	WAY("wild", reads_wild(n));
	WAY("text as pointer", reads_text(n));
	WAY("unmapped", reads_unmapped(n));
	WAY("truncated file", reads_beyond_file(n));
	WAY("privileged", runs_privileged(n));
	WAY("unknown instruction", runs_unknown(n));
	WAY("breakpoint", breaks(n));
	WAY("misaligned", misaligned(n));
	WAY("forbidden call", calls_forbidden(n));
	WAY("fortify", overflows_buffer(n));
	WAY("canary", smashes_canary(n));
	WAY("heap", corrupts_heap(n));
	WAY("invalid free", frees_other(n));
	WAY("two functions", ping(n));
	WAY("many frames", bounded(200));
	WAY("thread overflow", overflows_thread(n));
	WAY("handler aborts", reported(n, aborts_again));
	WAY("handler raises", reported(n, raises_again));
	WAY("handler exits", reported(n, exits));
	WAY("handler returns", reported(n, returns_again));
	WAY("handled overflow", recurses_reported(n));
	WAY("string function", measures(n));
	WAY("tail call", calls_one_that_jumps(n));
	WAY("nested signals", nests(n));
	WAY("vfork", in_child(n));
	WAY("library", in_library(n));
	WAY("unlinked", unlinks_itself(argv[0], n));
	WAY("replaced", replaces_itself(argv[0], n));
	sink = r;
	return r + 1;
}

int main(int argc, char **argv)
{
	return argc > 1 ? outer(argv, argc) + 1 : 2;
}
