/* SPDX-License-Identifier: MIT */
/* A blocking read ends: SO_RCVTIMEO, a signal; with SA_RESTART it goes on until data comes. */
#include "harness.h"

static int pair[2];

static void *write_later(void *argument)
{
	(void)argument;
	usleep(200000);
	CHECK(write(pair[0], "x", 1) == 1);
	return NULL;
}

int main(void)
{
	struct timeval limit = {.tv_usec = 100000}, none = {0};
	pthread_t thread;
	char byte;

	ct_init();
	ct_pair(pair);
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	TRY(read(pair[1], &byte, 1));
	TRY(recv(pair[1], &byte, 1, 0));
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)));
	ct_catch(SIGUSR1, 0);
	ct_pester(pthread_self(), SIGUSR1);
	TRY(read(pair[1], &byte, 1));
	TRY(recv(pair[1], &byte, 1, MSG_WAITALL));
	ct_poll(pair[1], POLLIN, CT_LONG_MS);
	ct_pester_end();
	ct_catch(SIGUSR1, SA_RESTART);
	ct_pester(pthread_self(), SIGUSR1);
	thread = ct_thread(write_later, NULL);
	TRY(read(pair[1], &byte, 1));
	ct_join(thread);
	ct_pester_end();
	return 0;
}
