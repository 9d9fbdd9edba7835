/* SPDX-License-Identifier: Apache-2.0
 *
 * The prices of the demo shop. For an article that is not in the table, it reads from address 0: SIGSEGV.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct price {
	const char *article;
	int cents;
};

static const struct price prices[] = {{"tea", 450}, {"cup", 1200}, {"pot", 3900}};

static const struct price *find(const char *article)
{
	for (size_t i = 0; i < sizeof(prices) / sizeof(prices[0]); i++)
		if (strcmp(prices[i].article, article) == 0)
			return &prices[i];
	return NULL;
}

int main(void)
{
	static const char *const asked[] = {"tea", "cup", "pot", "spoon"};
	const char *pace = getenv("SHOP_PACE_SECONDS");
	double seconds = pace ? atof(pace) : 20;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0;; i++) {
		const char *article = asked[i % 4];

		usleep((useconds_t)(seconds * 1e6 / 4));
		printf("pricing: %s costs %d cents\n", article, find(article)->cents);
	}
}
