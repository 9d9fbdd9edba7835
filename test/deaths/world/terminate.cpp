// Ways in which a C++ program terminates: an uncaught exception, and std::terminate without one.
//
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <exception>
#include <stdexcept>

int main(int argc, char **argv)
{
	if (argc > 1 && std::strcmp(argv[1], "uncaught") == 0)
		throw std::runtime_error("out of cheese");
	std::terminate();
}
