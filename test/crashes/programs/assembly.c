// SPDX-License-Identifier: Apache-2.0
// Calls assembly.s.
volatile int sink;
long calls_by_hand(long n);

static __attribute__((noinline, noclone)) int caller(int n)
{
	sink = calls_by_hand(n) + 1;
	return sink;
}

int main(int argc, char **argv)
{
	return caller(argc) + 1;
}
