/* SPDX-License-Identifier: MIT */
/* Half-close as a protocol: question, shutdown, answer, end, on thirty connections at once. */
#include "harness.h"

#define CALLS 30

static void *answer(void *argument)
{
	int fd = (int)(intptr_t)argument;
	int64_t n = ct_read_to_end(fd);

	CHECK(n > 0 && ct_send_pattern(fd, n * 2, (uint64_t)n) == n * 2);
	close(fd);
	return NULL;
}

static void server(int listener)
{
	pthread_t threads[CALLS];

	for (int i = 0; i < CALLS; i++)
		threads[i] = ct_thread(answer, (void *)(intptr_t)ct_accept(listener));
	for (int i = 0; i < CALLS; i++)
		ct_join(threads[i]);
}

static void client(int port)
{
	int fds[CALLS], right = 0;

	for (int i = 0; i < CALLS; i++) {
		fds[i] = ct_connect(AF_INET, port);
		CHECK(ct_send_pattern(fds[i], 1000 * (i + 1), 1) == 1000 * (i + 1));
		MUST(shutdown(fds[i], SHUT_WR));
	}
	for (int i = CALLS - 1; i >= 0; i--) {
		int64_t n = 1000 * (i + 1);

		right += ct_recv_pattern(fds[i], 2 * n, (uint64_t)n) == 2 * n &&
			 read(fds[i], (char[8]){0}, 1) == 0;
		close(fds[i]);
	}
	ct_note("%d right", right);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
