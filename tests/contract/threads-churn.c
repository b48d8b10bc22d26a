/* SPDX-License-Identifier: MIT */
/* Threads that connect, write, read and close at once while others fork: nothing gets mixed up. */
#include "harness.h"

#define THREADS 4
#define ROUNDS 25

static int target;

static void server(int listener)
{
	for (int i = 0; i < THREADS * ROUNDS; i++) {
		int fd = ct_accept(listener);
		uint64_t seed;

		CHECK(ct_read_full(fd, &seed, sizeof(seed)) == sizeof(seed));
		CHECK(ct_send_pattern(fd, 4096, seed) == 4096);
		close(fd);
	}
}

static void *churn(void *argument)
{
	long right = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t seed = (uint64_t)(intptr_t)argument * 1000 + (uint64_t)i;
		int fd = ct_connect(AF_INET, target);

		CHECK(ct_write_full(fd, &seed, sizeof(seed)) == sizeof(seed));
		right += ct_recv_pattern(fd, 4096, seed) == 4096 && read(fd, (char[8]){0}, 1) == 0;
		close(fd);
	}
	return (void *)(intptr_t)right;
}

static void client(int port)
{
	pthread_t threads[THREADS];
	void *right;

	target = port;
	for (int i = 0; i < THREADS; i++)
		threads[i] = ct_thread(churn, (void *)(intptr_t)(i + 1));
	for (int i = 0; i < 20; i++) {
		pid_t pid = ct_fork("child");

		if (pid == 0)
			_exit(0);
		ct_reap(pid);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &right);
		ct_note("thread %d: %d right", i, (int)(intptr_t)right);
	}
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
