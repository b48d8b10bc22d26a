/* SPDX-License-Identifier: MIT */
/* shutdown of a listener wakes accept (EINVAL); nobody gets in any more. */
#include "harness.h"

static int listener;

static void *wait_in_accept(void *argument)
{
	(void)argument;
	ct_as("waiter");
	TRY(accept(listener, NULL, NULL));
	return NULL;
}

int main(void)
{
	struct ct_addr addr;
	pthread_t thread;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	thread = ct_thread(wait_in_accept, NULL);
	ct_await_blocked(thread);
	TRY(shutdown(listener, SHUT_RDWR));
	ct_join(thread);
	TRY(accept(listener, NULL, NULL));
	ct_refused(&addr);
	return 0;
}
