/* SPDX-License-Identifier: MIT */
/* A signal sent to the process meets the app's threads only, whatever runs beside them. */
#include "harness.h"

static volatile sig_atomic_t hits, strange;
static pthread_t first;

static void count(int number)
{
	(void)number;
	hits++;
	strange += !pthread_equal(pthread_self(), first);
}

int main(void)
{
	struct sigaction action = {.sa_handler = count};
	sigset_t set, old;
	int pair[2];

	ct_init();
	first = pthread_self();
	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(sigaction(SIGTERM, &action, NULL));
	ct_pair(pair);
	for (int i = 0; i < 50; i++) {
		MUST(kill(getpid(), SIGUSR1));
		MUST(kill(getpid(), SIGTERM));
		CHECK(write(pair[0], "x", 1) == 1);
		CHECK(read(pair[1], (char[8]){0}, 1) == 1);
	}
	ct_note("hits %d, elsewhere %d", (int)hits, (int)strange);
	/* Blocked by the only thread of the app, it stays pending. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, &old));
	MUST(kill(getpid(), SIGUSR1));
	usleep(50000);
	ct_note("hits %d, elsewhere %d", (int)hits, (int)strange);
	MUST(sigprocmask(SIG_SETMASK, &old, NULL));
	ct_note("hits %d, elsewhere %d", (int)hits, (int)strange);
	return 0;
}
