/* SPDX-License-Identifier: MIT */
/* pthread_cancel ends a thread that is blocked in read or accept; the connection lives on. */
#include "harness.h"

static int pair[2], listener;

static void *blocked_read(void *argument)
{
	(void)argument;
	read(pair[0], (char[8]){0}, 1);
	return NULL;
}

static void *blocked_accept(void *argument)
{
	(void)argument;
	accept(listener, NULL, NULL);
	return NULL;
}

static void cancel(void *(*run)(void *), const char *name)
{
	pthread_t thread = ct_thread(run, NULL);
	void *result;

	ct_await_blocked(thread);
	MUST(-pthread_cancel(thread));
	pthread_join(thread, &result);
	ct_note("%s: cancelled %d", name, result == PTHREAD_CANCELED);
}

int main(void)
{
	ct_init();
	ct_pair(pair);
	listener = ct_listener(AF_INET, 5);
	cancel(blocked_read, "read");
	cancel(blocked_accept, "accept");
	TRY(ct_write_full(pair[1], "hello", 5));
	TRY(ct_read_full(pair[0], (char[8]){0}, 5));
	ct_connect(AF_INET, ct_port(listener));
	TRY(accept(listener, NULL, NULL) >= 0);
	return 0;
}
