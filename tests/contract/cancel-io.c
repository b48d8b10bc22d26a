/* SPDX-License-Identifier: MIT */
/* pthread_cancel ends threads that are blocked in recv, send, poll, epoll_wait and select. */
#include "harness.h"

#include <sys/select.h>

static int pair[2], full[2];
static char big[1 << 20];

static void *in_recv(void *argument)
{
	recv(pair[0], argument, 1, 0);
	return NULL;
}

static void *in_send(void *argument)
{
	(void)argument;
	while (send(full[0], big, sizeof(big), 0) > 0)
		continue;
	return NULL;
}

static void *in_writev(void *argument)
{
	(void)argument;
	while (writev(full[0], &(struct iovec){big, sizeof(big)}, 1) > 0)
		continue;
	return NULL;
}

static void *in_poll(void *argument)
{
	struct pollfd p = {.fd = pair[0], .events = POLLIN};

	(void)argument;
	poll(&p, 1, CT_LONG_MS);
	return NULL;
}

static void *in_select(void *argument)
{
	fd_set in;

	(void)argument;
	FD_ZERO(&in);
	FD_SET(pair[0], &in);
	select(pair[0] + 1, &in, NULL, NULL, NULL);
	return NULL;
}

static void *in_epoll(void *argument)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = *(int *)argument;

	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event));
	epoll_wait(epoll, &event, 1, CT_LONG_MS);
	return NULL;
}

static void end(void *(*run)(void *), void *argument, const char *name)
{
	pthread_t thread = ct_thread(run, argument);
	void *result;

	ct_await_blocked(thread);
	CHECK(pthread_cancel(thread) == 0);
	CHECK(pthread_join(thread, &result) == 0);
	ct_note("%s: cancelled %d", name, result == PTHREAD_CANCELED);
}

int main(void)
{
	int epoll;
	char byte;

	ct_init();
	ct_pair(pair);
	ct_pair(full);
	epoll = MUST(epoll_create1(0));
	end(in_recv, &byte, "recv");
	end(in_poll, NULL, "poll");
	end(in_select, NULL, "select");
	end(in_epoll, &epoll, "epoll_wait");
	end(in_send, NULL, "send");
	end(in_writev, NULL, "writev");
	TRY(ct_write_full(pair[1], "hello", 5));
	TRY(ct_read_full(pair[0], big, 5));
	return 0;
}
