/* SPDX-License-Identifier: MIT */
/* close by one thread does not wake another in accept: that one still takes the next connection. */
#include "harness.h"

static int listener;

static void *wait_in_accept(void *argument)
{
	int fd;

	(void)argument;
	ct_as("waiter");
	fd = (int)TRY(accept(listener, NULL, NULL) < 0) ? -1 : 0;
	return (void *)(intptr_t)fd;
}

int main(void)
{
	pthread_t thread;
	int port;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	port = ct_port(listener);
	thread = ct_thread(wait_in_accept, NULL);
	ct_await_blocked(thread);
	TRY(close(listener));
	ct_connect(AF_INET, port);
	ct_join(thread);
	return 0;
}
