/* SPDX-License-Identifier: MIT */
/* close by one thread does not wake another in read; it gets what comes, and the end after that. */
#include "harness.h"

static int pair[2];

static void *reader(void *argument)
{
	int fd = pair[0];

	(void)argument;
	ct_as("reader");
	TRY(read(fd, (char[8]){0}, 8));
	return NULL;
}

int main(void)
{
	pthread_t thread;

	ct_init();
	ct_pair(pair);
	thread = ct_thread(reader, NULL);
	ct_await_blocked(thread);
	TRY(close(pair[0]));
	TRY(write(pair[1], "hello", 5));
	ct_join(thread);
	TRY(read(pair[1], (char[8]){0}, 1));
	return 0;
}
