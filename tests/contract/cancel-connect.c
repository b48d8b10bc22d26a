/* SPDX-License-Identifier: MIT */
/* pthread_cancel ends a thread that is blocked in connect; the attempt and the process live on. */
#include "harness.h"

static struct ct_addr nobody;
static int fd;

static void *blocked(void *argument)
{
	(void)argument;
	connect(fd, SA(&nobody));
	return NULL;
}

int main(void)
{
	pthread_t thread;
	void *result;
	int pair[2];

	ct_init_own_net();
	nobody = ct_addr_of("203.0.113.1", 80);
	fd = ct_socket(AF_INET, 0);
	thread = ct_thread(blocked, NULL);
	ct_await_blocked(thread);
	CHECK(pthread_cancel(thread) == 0);
	CHECK(pthread_join(thread, &result) == 0);
	ct_note("cancelled %d", result == PTHREAD_CANCELED);
	ct_prove(fd);
	ct_nonblock(fd, true);
	TRY(connect(fd, SA(&nobody)));
	TRY(close(fd));
	ct_pair(pair);
	TRY(ct_write_full(pair[0], "hello", 5));
	TRY(ct_read_full(pair[1], (char[8]){0}, 5));
	return 0;
}
