// SPDX-License-Identifier: Apache-2.0
// A program of arm64 without a C library, which crashes in the way that its argument names. arm64_test.go has how it is built and recorded.

#define FUNCTION static __attribute__((noinline, noclone))

volatile int sink;
volatile int *nowhere;

static long call(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

FUNCTION int leaf(int x)
{
	*nowhere = x; /* no frame: the return address is in the link register */
	return x;
}

FUNCTION int three(int x)
{
	volatile char pad[200];

	pad[x & 7] = x;
	return leaf(x + 1) + pad[0];
}

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

FUNCTION int jump_to(unsigned long address, int n)
{
	int (*volatile f)(int) = (int (*)(int))address;

	sink = f(n);
	return sink + 1;
}

static void handler(int signo)
{
	sink = one(signo);
}

/* Handlers return to the vDSO, unless they say where to. */
__asm__(".text\n.balign 16\nrestorer:\n\tmov x8, #139\n\tsvc #0\n");
extern void restorer(void);

FUNCTION int interrupted(int n)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} action = {handler, 0x04000000, restorer, 0}; /* SA_RESTORER */
	volatile char pad[300];

	pad[n] = n;
	call(134, 10, (long)&action, 0, 8);                    /* rt_sigaction */
	call(131, call(172, 0, 0, 0, 0), call(178, 0, 0, 0, 0), 10, 0); /* tgkill(getpid(), gettid(), SIGUSR1) */
	return sink + pad[n];
}

FUNCTION int outer(char how, int n)
{
	int r = 0;

	if (how == 'c')
		r = one(n);
	if (how == 'h')
		r = interrupted(n);
	if (how == 'j')
		r = jump_to(0, n);
	sink = r;
	return r + 1;
}

__attribute__((used, noinline)) int program(long *stack)
{
	return outer(((char **)stack)[2][0], (int)stack[0]) + 1;
}

__asm__(".globl _start\n_start:\n\t.cfi_startproc\n\t.cfi_undefined x30\n\tmov x0, sp\n\tbl program\n\tbrk #1\n\t.cfi_endproc\n");
