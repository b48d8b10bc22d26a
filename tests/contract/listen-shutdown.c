/* SPDX-License-Identifier: MIT */
/* shutdown of a listener wakes accept (EINVAL); nobody gets in; listen brings it back. */
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
	usleep(100000);
	TRY(shutdown(listener, SHUT_RDWR));
	ct_join(thread);
	TRY(accept(listener, NULL, NULL));
	TRY(connect(ct_socket(AF_INET, 0), SA(&addr)));
	TRY(listen(listener, 5));
	addr = ct_local(listener);
	TRY(connect(ct_socket(AF_INET, 0), SA(&addr)));
	ct_prove(ct_accept(listener));
	return 0;
}
