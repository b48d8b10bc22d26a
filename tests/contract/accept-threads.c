/* SPDX-License-Identifier: MIT */
/* Four threads blocked in accept on one listener: each connection goes to one of them. */
#include "harness.h"

#define THREADS 4
#define CLIENTS 40

static int listener;

static void *work(void *argument)
{
	char word[5];
	long served = 0;

	(void)argument;
	for (;;) {
		int fd = ct_accept(listener);

		CHECK(ct_read_full(fd, word, 5) == 5);
		if (memcmp(word, "leave", 5) == 0)
			break;
		CHECK(ct_write_full(fd, word, 5) == 5);
		served++;
		close(fd);
	}
	return (void *)(intptr_t)served;
}

int main(void)
{
	pthread_t threads[THREADS];
	int right = 0, served = 0;
	char word[5];
	void *count;

	ct_init();
	listener = ct_listener(AF_INET, 64);
	for (int i = 0; i < THREADS; i++)
		threads[i] = ct_thread(work, NULL);
	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_connect(AF_INET, ct_port(listener));

		CHECK(ct_write_full(fd, "hello", 5) == 5);
		right += ct_read_full(fd, word, 5) == 5 && read(fd, word, 1) == 0;
		close(fd);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(ct_write_full(ct_connect(AF_INET, ct_port(listener)), "leave", 5) == 5);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &count);
		served += (int)(intptr_t)count;
	}
	ct_note("%d right, %d served", right, served);
	return 0;
}
