// SPDX-License-Identifier: Apache-2.0
// C++ that ends in the way that its argument names.
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#define FUNCTION __attribute__((noinline))

volatile int sink;
volatile int *volatile nowhere;

struct Base {
	Base();
	virtual ~Base() {}
	virtual int overridden(int n) = 0;
	FUNCTION int calls(int n) { return overridden(n) + 1; }
};

FUNCTION Base::Base() { sink = calls(2); }

struct Derived : Base {
	int overridden(int n) override { return n + sink; }
};

FUNCTION int throws_nothing(int n) noexcept
{
	if (n > 0)
		throw std::logic_error("unexpected");
	return sink;
}

FUNCTION int out_of_range(int n)
{
	std::vector<int> values(3);

	return values.at(n + 5);
}

/* A handler for another type is no place. */
FUNCTION int catches_others(int n)
{
	try {
		return out_of_range(n);
	} catch (int) {
		return 3;
	}
}

FUNCTION int in_lambda(int n)
{
	auto writes = [&](int value) __attribute__((noinline)) {
		*nowhere = value;
		return sink;
	};

	return writes(n) + 1;
}

/* The compiler moves the branch to a part of its own (.cold). */
FUNCTION int unlikely(int n)
{
	if (__builtin_expect(n > 0, 0)) {
		std::string text(n + 2000, 'x');

		sink = text.size();
		*nowhere = n;
		throw std::runtime_error(text);
	}
	return sink;
}

FUNCTION int forgets_thread(int n)
{
	std::thread thread([] { std::this_thread::sleep_for(std::chrono::hours(1)); });

	return n;
}

int main(int argc, char **argv)
{
	const char *way = argv[1];

	if (!strcmp(way, "pure virtual"))
		return Derived().overridden(argc);
	if (!strcmp(way, "noexcept"))
		return throws_nothing(argc) + 1;
	if (!strcmp(way, "another type is caught"))
		return catches_others(argc) + 1;
	if (!strcmp(way, "lambda"))
		return in_lambda(argc) + 1;
	if (!strcmp(way, "cold part"))
		return unlikely(argc) + 1;
	return forgets_thread(argc) + 1;
}
