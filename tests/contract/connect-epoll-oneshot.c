/* SPDX-License-Identifier: MIT */
/* EPOLLONESHOT, registered before connect or after: one event, none until it is armed again. */
#include "harness.h"

static void watch(int port, bool before, const char *name)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.u64 = 5};
	int epoll = MUST(epoll_create1(0)), fd = ct_socket(AF_INET, SOCK_NONBLOCK), n;

	if (before) {
		MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
		/* The fresh TCP socket has an event of its own; arm it again after connect. */
		n = epoll_wait(epoll, &event, 1, 1000);
		ct_note("%s: fresh %d", name, n);
	}
	MUST(connect(fd, SA(&addr)) == -1 && errno == EINPROGRESS ? 0 : -1);
	ct_prove(fd);
	event = (struct epoll_event){.events = EPOLLOUT | EPOLLONESHOT, .data.u64 = 6};
	MUST(epoll_ctl(epoll, before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event));
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("%s: up %d %s data %d", name, n, ct_event_names(event.events), (int)event.data.u64);
	ct_note("%s: then %d", name, epoll_wait(epoll, &event, 1, 50));
	event = (struct epoll_event){.events = EPOLLOUT | EPOLLONESHOT, .data.u64 = 7};
	MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("%s: again %d %s data %d", name, n, ct_event_names(event.events),
		(int)event.data.u64);
	close(fd);
	close(epoll);
}

int main(void)
{
	int port;

	ct_init();
	port = ct_port(ct_listener(AF_INET, 5));
	watch(port, false, "after");
	watch(port, true, "before");
	return 0;
}
