/* SPDX-License-Identifier: MIT */
/* MSG_DONTWAIT, MSG_PEEK and MSG_WAITALL. */
#include "harness.h"

static int pair[2];

static void *write_rest(void *argument)
{
	(void)argument;
	usleep(50000);
	CHECK(write(pair[0], "fghi", 4) == 4);
	usleep(50000);
	CHECK(write(pair[0], "j", 1) == 1);
	return NULL;
}

int main(void)
{
	char buffer[16] = {0};
	pthread_t thread;

	ct_init();
	ct_pair(pair);
	TRY(recv(pair[1], buffer, 5, MSG_DONTWAIT));
	TRY(recv(pair[1], buffer, 5, MSG_DONTWAIT | MSG_PEEK));
	TRY(write(pair[0], "abcde", 5));
	ct_await(pair[1], POLLIN);
	TRY(recv(pair[1], buffer, 3, MSG_PEEK));
	TRY(recv(pair[1], buffer, sizeof(buffer), MSG_PEEK));
	ct_note("peeked %s", buffer);
	TRY(recv(pair[1], buffer, sizeof(buffer), MSG_PEEK | MSG_DONTWAIT));
	TRY(recv(pair[1], buffer, 0, 0));
	thread = ct_thread(write_rest, NULL);
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	ct_note("all %s", buffer);
	ct_join(thread);
	TRY(recv(pair[1], buffer, 1, MSG_DONTWAIT));
	TRY(write(pair[0], "abc", 3));
	TRY(shutdown(pair[0], SHUT_WR));
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	TRY(recv(pair[1], buffer, 10, MSG_PEEK));
	return 0;
}
