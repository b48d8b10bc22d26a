/* SPDX-License-Identifier: MIT */
/* A listener with EPOLLONESHOT and one that is drained on each edge. */
#include "harness.h"

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 4};
	int listener, epoll, n, taken = 0, edges = 0;

	ct_init();
	listener = ct_listener(AF_INET, 64);
	ct_nonblock(listener, true);
	epoll = MUST(epoll_create1(0));
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	ct_connect(AF_INET, ct_port(listener));
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("first %d %s data %d", n, ct_event_names(event.events), (int)event.data.u64);
	ct_connect(AF_INET, ct_port(listener));
	ct_note("unarmed %d", epoll_wait(epoll, &event, 1, 50));
	event = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 5};
	MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, listener, &event));
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("armed %d %s data %d", n, ct_event_names(event.events), (int)event.data.u64);
	for (int i = 0; i < 2; i++) {
		ct_await(listener, POLLIN);
		ct_accept(listener);
	}

	event.events = EPOLLIN | EPOLLET;
	MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, listener, &event));
	for (int i = 0; i < 20; i++)
		ct_connect(AF_INET, ct_port(listener));
	while (taken < 20 && epoll_wait(epoll, &event, 1, CT_LONG_MS) == 1) {
		edges++;
		while (accept(listener, NULL, NULL) >= 0)
			taken++;
		CHECK(errno == EAGAIN);
	}
	ct_note("taken %d, edges %d", taken, edges > 0);
	return 0;
}
