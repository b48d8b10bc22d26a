/* SPDX-License-Identifier: MIT */
/* Eight threads connect, talk and close at once, ten times each. */
#include "harness.h"

#define THREADS 8
#define ROUNDS 10

static int target;

static void *visit(void *argument)
{
	long me = (long)(intptr_t)argument, sum = 0, back;
	int fd;

	for (int i = 0; i < ROUNDS; i++) {
		long word = me * 1000 + i;

		fd = ct_connect(AF_INET, target);
		CHECK(ct_write_full(fd, &word, sizeof(word)) == sizeof(word));
		CHECK(ct_read_full(fd, &back, sizeof(back)) == sizeof(back));
		sum += back == word;
		close(fd);
	}
	return (void *)(intptr_t)sum;
}

static void server(int listener)
{
	char word[sizeof(long)];

	for (int i = 0; i < THREADS * ROUNDS; i++) {
		int fd = ct_accept(listener);

		CHECK(ct_read_full(fd, word, sizeof(word)) == sizeof(word));
		CHECK(ct_write_full(fd, word, sizeof(word)) == sizeof(word));
		close(fd);
	}
}

static void client(int port)
{
	pthread_t threads[THREADS];
	void *result;

	target = port;
	for (int i = 0; i < THREADS; i++)
		threads[i] = ct_thread(visit, (void *)(intptr_t)(i + 1));
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		ct_note("thread %d: %d right", i, (int)(intptr_t)result);
	}
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_FORK, server, client);
}
