/* SPDX-License-Identifier: MIT */
/* SO_RCVLOWAT: poll waits for that many bytes, and so does a blocking read. */
#include "harness.h"

static int pair[2];

static void *write_rest(void *argument)
{
	(void)argument;
	usleep(100000);
	CHECK(write(pair[0], "defgh", 5) == 5);
	return NULL;
}

int main(void)
{
	int low = 5, n = 0;
	socklen_t size = sizeof(low);
	pthread_t thread;
	char buffer[16];

	ct_init();
	ct_pair(pair);
	TRY(setsockopt(pair[1], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	low = 0;
	TRY(getsockopt(pair[1], SOL_SOCKET, SO_RCVLOWAT, &low, &size));
	ct_note("SO_RCVLOWAT %d", low);
	TRY(write(pair[0], "abc", 3));
	while (n < 3)
		MUST(ioctl(pair[1], FIONREAD, &n));
	ct_poll(pair[1], POLLIN, 50);
	thread = ct_thread(write_rest, NULL);
	ct_poll(pair[1], POLLIN, CT_LONG_MS);
	ct_join(thread);
	TRY(ct_read_full(pair[1], buffer, 8));
	return 0;
}
