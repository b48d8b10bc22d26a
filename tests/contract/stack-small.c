/* SPDX-License-Identifier: MIT */
/* A thread with the smallest stack that there is reads, writes, and throws away. */
#include "harness.h"

#include <limits.h>

static int pair[2];

static void *run(void *argument)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	int *got = argument;
	char c;

	got[0] = (int)recv(pair[1], &c, 1, MSG_TRUNC);
	got[1] = (int)recvfrom(pair[1], &c, 1, MSG_TRUNC, NULL, NULL);
	got[2] = (int)read(pair[1], &c, 1);
	got[3] = (int)write(pair[1], "x", 1);
	got[4] = getpeername(pair[1], (struct sockaddr *)&name, &len);
	return NULL;
}

int main(void)
{
	int got[5] = {-2, -2, -2, -2, -2};
	pthread_attr_t smallest;
	pthread_t thread;

	ct_init();
	ct_pair(pair);
	MUST(write(pair[0], "abc", 3));
	ct_await(pair[1], POLLIN);
	pthread_attr_init(&smallest);
	CHECK(pthread_attr_setstacksize(&smallest, (size_t)PTHREAD_STACK_MIN) == 0);
	CHECK(pthread_create(&thread, &smallest, run, got) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	for (size_t i = 0; i < COUNT(got); i++)
		ct_note("call %d: %d", (int)i, got[i]);
	return 0;
}
