// SPDX-License-Identifier: Apache-2.0
// A library that a program loads, and that crashes.
#include <stdlib.h>

#define FUNCTION static __attribute__((noinline, noclone))

volatile int library_sink;
volatile int *volatile library_nowhere;

FUNCTION int compare(const void *a, const void *b)
{
	library_sink = *(const int *)a - *(const int *)b;
	*library_nowhere = library_sink;
	return library_sink;
}

FUNCTION int sorts(int n)
{
	int values[4] = {4, n, 2, 3};

	qsort(values, 4, sizeof(int), compare);
	library_sink = values[0];
	return library_sink;
}

int library_entry(int n)
{
	library_sink = sorts(n);
	return library_sink + 1;
}
