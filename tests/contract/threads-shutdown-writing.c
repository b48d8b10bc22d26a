/* SPDX-License-Identifier: MIT */
/* shutdown by one thread ends the blocked write of another; what was written before still arrives. */
#include "harness.h"

static int pair[2];
static int64_t written;
static char big[1 << 20];

static void *writer(void *argument)
{
	ssize_t n;

	(void)argument;
	ct_as("writer");
	ct_pattern(big, sizeof(big), 0, 3);
	/* Always the same block: its length is a multiple of 8, so a partial one comes last. */
	while ((n = send(pair[0], big, sizeof(big), MSG_NOSIGNAL)) > 0)
		written += n;
	ct_note("then %s", strerrorname_np(errno));
	return NULL;
}

static void *drain(void *argument)
{
	(void)argument;
	return (void *)(intptr_t)ct_read_to_end(pair[1]);
}

int main(void)
{
	pthread_t thread, reader;
	void *got;

	ct_init();
	ct_pair(pair);
	thread = ct_thread(writer, NULL);
	ct_await_blocked(thread);
	TRY(shutdown(pair[0], SHUT_WR));
	ct_join(thread);
	reader = ct_thread(drain, NULL);
	pthread_join(reader, &got);
	ct_note("all %d, some %d", (int64_t)(intptr_t)got == written, written > 0);
	return 0;
}
