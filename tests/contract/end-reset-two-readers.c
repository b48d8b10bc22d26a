/* SPDX-License-Identifier: MIT */
/* Threads wait in read() on one socket, and a reset comes: one of them is told, the others read the end. */
#include "harness.h"

#define ROUNDS 16
#define READERS 4

static int fd;

static void *reader(void *told)
{
	ssize_t n = read(fd, (char[1]){0}, 1);

	CHECK(n == 0 || (n < 0 && errno == ECONNRESET));
	*(bool *)told = n < 0;
	return NULL;
}

int main(void)
{
	struct linger none = {.l_onoff = 1};
	int pair[2], n_told, rounds = 0;
	pthread_t threads[READERS];
	bool told[READERS];

	ct_init();
	for (; rounds < ROUNDS; rounds++) {
		ct_pair(pair);
		fd = pair[0];
		for (int i = 0; i < READERS; i++)
			threads[i] = ct_thread(reader, &told[i]);
		for (int i = 0; i < READERS; i++)
			ct_await_blocked(threads[i]);
		MUST(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
		MUST(close(pair[1]));
		n_told = 0;
		for (int i = 0; i < READERS; i++) {
			ct_join(threads[i]);
			n_told += told[i];
		}
		if (n_told != 1)
			ct_note("%d readers were told", n_told);
		MUST(close(fd));
	}
	ct_note("%d resets, each told once", rounds);
	return 0;
}
