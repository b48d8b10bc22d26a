/* SPDX-License-Identifier: MIT */
/* A connection comes up inside a nested epoll, registered before connect; EPOLLEXCLUSIVE too. */
#include "harness.h"

static void watch(int port, uint32_t flags, const char *name)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	struct epoll_event event = {.events = EPOLLOUT | flags, .data.u64 = 1};
	int inner = MUST(epoll_create1(0)), outer = MUST(epoll_create1(0));
	int fd = ct_socket(AF_INET, SOCK_NONBLOCK), n;

	MUST(connect(fd, SA(&addr)) == -1 && errno == EINPROGRESS ? 0 : -1);
	ct_prove(fd);
	MUST(epoll_ctl(inner, EPOLL_CTL_ADD, fd, &event));
	event.events = EPOLLIN;
	event.data.u64 = 2;
	MUST(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
	n = epoll_wait(outer, &event, 1, CT_LONG_MS);
	ct_note("%s: outer %d %s data %d", name, n, ct_event_names(event.events),
		(int)event.data.u64);
	n = epoll_wait(inner, &event, 1, 0);
	ct_note("%s: inner %d %s data %d", name, n, ct_event_names(event.events),
		(int)event.data.u64);
	ct_so_error(fd);
	close(fd);
	TRY(epoll_wait(outer, &event, 1, 0));
	close(inner);
	close(outer);
}

int main(void)
{
	int port;

	ct_init();
	port = ct_port(ct_listener(AF_INET, 5));
	watch(port, 0, "plain");
	watch(port, EPOLLEXCLUSIVE, "exclusive");
	return 0;
}
