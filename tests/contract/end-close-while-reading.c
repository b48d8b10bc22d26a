/* SPDX-License-Identifier: MIT */
/* shutdown by one thread wakes another that is blocked in read, and one blocked in poll. */
#include "harness.h"

static int pair[2];

static void *reader(void *argument)
{
	(void)argument;
	ct_as("reader");
	TRY(read(pair[0], (char[8]){0}, 1));
	return NULL;
}

static void *poller(void *argument)
{
	(void)argument;
	ct_as("poller");
	ct_poll(pair[0], POLLRDHUP, CT_LONG_MS);
	return NULL;
}

int main(void)
{
	pthread_t threads[2];

	ct_init();
	ct_pair(pair);
	threads[0] = ct_thread(reader, NULL);
	threads[1] = ct_thread(poller, NULL);
	ct_await_blocked(threads[0]);
	ct_await_blocked(threads[1]);
	TRY(shutdown(pair[0], SHUT_RD));
	ct_join(threads[0]);
	ct_join(threads[1]);
	TRY(write(pair[0], "x", 1));
	TRY(ct_read_full(pair[1], (char[8]){0}, 1));
	return 0;
}
