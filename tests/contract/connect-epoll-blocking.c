/* SPDX-License-Identifier: MIT */
/* Registered with epoll, then connected by a blocking call: events of data and end arrive. */
#include "harness.h"

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = 5};
	struct ct_addr addr;
	int listener, epoll, fd, peer, n;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	epoll = MUST(epoll_create1(0));
	fd = ct_socket(AF_INET, 0);
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	TRY(connect(fd, SA(&addr)));
	ct_prove(fd);
	peer = ct_accept(listener);
	TRY(epoll_wait(epoll, &event, 1, 0));
	TRY(write(peer, "hello", 5));
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("data: %d %s %d", n, ct_event_names(event.events), (int)event.data.u64);
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(epoll_wait(epoll, &event, 1, 0));
	close(peer);
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("end: %d %s %d", n, ct_event_names(event.events), (int)event.data.u64);
	close(fd);
	TRY(epoll_wait(epoll, &event, 1, 0));
	return 0;
}
