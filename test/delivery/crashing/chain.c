// SPDX-License-Identifier: Apache-2.0
// Writes to address 0, six functions deep. `chain unlink` removes its own file first, `chain replace FILE` puts another file in its place.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline, noclone))

volatile int *nowhere;
volatile int sink;

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
	sink = four(x * 3);
	return sink - 1;
}

FUNCTION int two(int x)
{
	volatile char *room = __builtin_alloca(x + 64);

	room[0] = x;
	return three(x + room[0]) + room[0];
}

FUNCTION int one(int x)
{
	return two(x + 5) * 2;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "unlink") && unlink(argv[0])) {
		perror("unlink");
		return 1;
	}
	if (argc > 2 && !strcmp(argv[1], "replace") && rename(argv[2], argv[0])) {
		perror("rename");
		return 1;
	}
	return one(argc) + sink;
}
