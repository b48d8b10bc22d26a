/* SPDX-License-Identifier: MIT */
/* A blocking accept ends: EAGAIN by SO_RCVTIMEO, EINTR by a signal; SA_RESTART goes on. */
#include "harness.h"

static void *visit(void *argument)
{
	usleep(200000);
	ct_connect(AF_INET, (int)(intptr_t)argument);
	return NULL;
}

int main(void)
{
	struct timeval limit = {.tv_usec = 100000}, none = {0};
	pthread_t thread;
	int listener;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	MUST(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	TRY(accept(listener, NULL, NULL));
	MUST(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)));
	ct_catch(SIGUSR1, 0);
	ct_pester(pthread_self(), SIGUSR1);
	TRY(accept(listener, NULL, NULL));
	ct_pester_end();
	ct_catch(SIGUSR1, SA_RESTART);
	ct_pester(pthread_self(), SIGUSR1);
	thread = ct_thread(visit, (void *)(intptr_t)ct_port(listener));
	TRY(accept(listener, NULL, NULL) >= 0);
	ct_join(thread);
	ct_pester_end();
	return 0;
}
