// SPDX-License-Identifier: Apache-2.0
// An exception that no one catches, in one of several threads.
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#define FUNCTION __attribute__((noinline))

volatile int sink;

namespace app {
FUNCTION void deepest(const std::string &text)
{
	if (text.size() > 2)
		throw std::runtime_error("it is " + text);
	sink++;
}

template <class T> FUNCTION void middle(T value)
{
	deepest(std::string("abc") + std::to_string(value));
	sink++;
}

struct Worker {
	FUNCTION void run(int n)
	{
		middle<long>(n);
		sink++;
	}
};
} // namespace app

int main()
{
	std::vector<std::thread> threads;

	for (int i = 0; i < 3; i++)
		threads.emplace_back([] { std::this_thread::sleep_for(std::chrono::hours(1)); });
	threads.emplace_back([] {
		app::Worker worker;

		worker.run(7);
	});
	for (auto &thread : threads)
		thread.join();
}
