/* SPDX-License-Identifier: MIT */
/* shutdown of a listener is seen by poll and epoll; connections that wait are gone with it. */
#include "harness.h"

static int listener;

static void *poller(void *argument)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	(void)argument;
	ct_as("poller");
	ct_note("poll %d", poll(&p, 1, CT_LONG_MS));
	ct_note("hup %d", (p.revents & POLLHUP) != 0);
	return NULL;
}

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 2};
	pthread_t thread;
	int epoll, waiting;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	epoll = MUST(epoll_create1(0));
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	ct_note("quiet %d", epoll_wait(epoll, &event, 1, 0));
	thread = ct_thread(poller, NULL);
	ct_await_blocked(thread);
	TRY(shutdown(listener, SHUT_RD));
	ct_join(thread);
	ct_note("epoll %d", epoll_wait(epoll, &event, 1, CT_LONG_MS));
	ct_note("hup %d", (event.events & EPOLLHUP) != 0);
	TRY(accept(listener, NULL, NULL));
	close(listener);

	listener = ct_listener(AF_INET, 5);
	waiting = ct_connect(AF_INET, ct_port(listener));
	ct_await(listener, POLLIN);
	TRY(shutdown(listener, SHUT_RDWR));
	TRY(read(waiting, (char[8]){0}, 1));
	return 0;
}
