// SPDX-License-Identifier: Apache-2.0
// A program that crashes in the way that its argument names. The functions are neither inlined nor merged, and each does something after its call, so
// that none is a jump.
#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <time.h>
#include <unistd.h>

#define FUNCTION static __attribute__((noinline, noclone))

volatile int sink;
volatile int *nowhere;

FUNCTION int leaf(int x)
{
	volatile char pad[40];

	pad[0] = x;
	sink += pad[0];
	*nowhere = x;
	return x + sink;
}

FUNCTION int four(int x)
{
	volatile char pad[200];

	pad[x & 7] = x;
	return leaf(x + 1) + pad[0];
}

FUNCTION int three(int x)
{
	int r = four(x * 3);

	sink = r;
	return r - 1;
}

/* With alloca(), the canonical frame address needs a register. */
FUNCTION int two(int n)
{
	volatile char *p = __builtin_alloca(n + 64);

	p[0] = n;
	return three(n + p[0]) + p[0];
}

FUNCTION int one(int x)
{
	return two(x + 5) * 2;
}

FUNCTION int recurse(int n)
{
	volatile char pad[128];

	pad[n & 63] = n;
	sink = recurse(n + 1) + pad[0];
	return sink;
}

FUNCTION int jump_to(unsigned long address, int n)
{
	int (*volatile f)(int) = (int (*)(int))address;

	sink = f(n);
	return sink + 1;
}

FUNCTION void in_handler(int signo)
{
	sink++;
	*nowhere = signo;
	sink++;
}

static void handler(int signo)
{
	in_handler(signo);
	sink++;
}

FUNCTION int interrupted(int n)
{
	volatile char pad[300];

	pad[n] = n;
	raise(SIGUSR1);
	sink = pad[n];
	return n;
}

/* The signal comes at an instruction that is no call. */
FUNCTION int faulting(int n)
{
	volatile char pad[300];

	pad[n] = n;
	sink = nowhere[n];
	return sink + pad[n];
}

FUNCTION int asserts(int n)
{
	assert(n == 12345 && "the answer");
	sink = n;
	return n;
}

FUNCTION int frees_twice(int n)
{
	char *volatile p = malloc(40);

	free(p);
	free(p);
	sink = n;
	return n;
}

FUNCTION int smashes(int n)
{
	char pad[16];
	volatile char *p = pad;

	for (int i = 0; i < n + 60; i++)
		p[i] = 65;
	sink = pad[3];
	return n;
}

FUNCTION int aborts(int n)
{
	if (n)
		abort();
	return sink;
}

static int compare(const void *a, const void *b)
{
	sink = *(const int *)a - *(const int *)b;
	*nowhere = 1;
	return sink;
}

FUNCTION int sorts(int n)
{
	int values[4] = {4, n, 2, 3};

	qsort(values, 4, sizeof(int), compare);
	sink = values[0];
	return sink;
}

/* In a function of the C library that is written in assembly. */
FUNCTION int copies(int n)
{
	char pad[4096];

	memcpy(pad, (void *)(long)n, sizeof(pad) - (unsigned)sink);
	sink = pad[n];
	return sink;
}

FUNCTION int divides(int n)
{
	sink = n / sink;
	return sink;
}

FUNCTION int traps(int n)
{
	if (n)
		__builtin_trap();
	return sink;
}

/* 128 KiB of variables: more than is copied. */
FUNCTION int large(int n)
{
	volatile char pad[128 << 10];

	pad[n] = n;
	return leaf(n) + pad[n];
}

/* In the vDSO. */
FUNCTION int asks_time(int n)
{
	sink = clock_gettime(CLOCK_MONOTONIC, (struct timespec *)8);
	return sink + n;
}

FUNCTION int executes_data(int n)
{
	static char code[64];

	return jump_to((unsigned long)code, n) + 1;
}

/* Code that has been made at run time: push %rbp; mov %rsp, %rbp; call *%rdi; pop %rbp; ret. */
FUNCTION int compiles(int n)
{
	unsigned char *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(code, "\x55\x48\x89\xe5\xff\xd7\x5d\xc3", 8);
	sink = ((int (*)(void (*)(int)))code)((void (*)(int))in_handler);
	return sink + n;
}

FUNCTION void on_alternate_stack(int signo)
{
	static char stack[64 << 10];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESETHAND};

	sigaltstack(&alternate, 0);
	sigaction(signo, &action, 0);
}

static void *thread(void *x)
{
	sink = one((long)x);
	return 0;
}

FUNCTION int starts_thread(int n)
{
	pthread_t id;

	pthread_create(&id, 0, thread, (void *)(long)n);
	pthread_join(id, 0);
	return sink;
}

FUNCTION int outer(const char *how, int n)
{
	int r = 0;

#define WAY(name, call) \
	if (!strcmp(how, name)) \
		r = call
	WAY("chain", one(n));
	WAY("recursion", recurse(n));
	WAY("null call", jump_to(0, n));
	WAY("wild call", jump_to(0x414141414141, n));
	WAY("data", executes_data(n));
	WAY("assert", asserts(n));
	WAY("double free", frees_twice(n));
	WAY("smash", smashes(n));
	WAY("abort", aborts(n));
	WAY("qsort", sorts(n));
	WAY("memcpy", copies(n));
	WAY("division", divides(n));
	WAY("trap", traps(n));
	WAY("large", large(n));
	WAY("vdso", asks_time(n));
	WAY("made code", compiles(n));
	WAY("thread", starts_thread(n));
	if (!strcmp(how, "alternate stack"))
		on_alternate_stack(SIGUSR1), r = interrupted(n);
	if (!strcmp(how, "fault in handler"))
		on_alternate_stack(SIGSEGV), r = faulting(n);
	if (!strcmp(how, "handler"))
		signal(SIGUSR1, handler), r = interrupted(n);
	sink = r;
	return r + 1;
}

int main(int argc, char **argv)
{
	return argc > 1 ? outer(argv[1], argc) + 1 : 2;
}
